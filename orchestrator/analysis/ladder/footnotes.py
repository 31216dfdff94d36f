"""What a reader may need to read one ladder, below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from orchestrator.analysis.ladder.items import Items
from orchestrator.analysis.ladder.model import STRETCHES, Row, RowKind
from orchestrator.analysis.ladder.notes import Note, Party
from orchestrator.history.model import Side
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_S = TcpState


class Unread(StrEnum):
    """What a Recv-Q in CLOSE_WAIT tells."""

    FIN = "fin"
    """1: the program has not read the end yet."""
    NOTHING = "nothing"
    """0: it has, and does not close."""
    DATA = "data"
    """More: not even what came before the FIN."""


@record
class Times(Note):
    """Some times lie between two observations: an example of each way that this ladder writes them."""


@record
class RecvQ(Note):
    """How to read a Recv-Q in CLOSE_WAIT."""

    unread: Unread


@record
class NotSeen(Note):
    """No sample showed that end: its column shows what the other end proves."""

    end: Party


@record
class FewerShown(Note):
    """The trace shows fewer retransmissions than the kernel counted: one may stand for several segments."""

    node: str | None
    shown: int
    counted: int


def footnotes_of(rows: Sequence[Row], found: Items) -> Iterator[Note]:
    """What a reader may need to read this ladder, and only that."""
    timed = [row for row in rows if row.kind not in (RowKind.SILENCE, *STRETCHES)]
    if any(row.before - row.after > 0.001 for row in timed):
        yield Times()
    waiting = [row.end(side) for row in rows for side in Side if row.end(side).state is _S.CLOSE_WAIT]
    unread = {end.queue[1] for end in waiting if end.queue}
    if 1 in unread:
        yield RecvQ(Unread.FIN)
    if 0 in unread:
        yield RecvQ(Unread.NOTHING)
    if unread - {0, 1}:
        yield RecvQ(Unread.DATA)
    yield from _fewer(rows, found)
    for life in (found.wire.client, found.wire.server):
        if life.socket is None:
            yield NotSeen(life.party)


def _fewer(rows: Sequence[Row], found: Items) -> Iterator[Note]:
    """Of ends that sent more again than the trace shows one by one."""
    history = found.history
    again = {row.sender for row in rows if row.kind is RowKind.RETRANSMIT}
    for life in (found.wire.client, found.wire.server):
        counted = history.retransmits_counted.get(life.node or "")
        if counted is not None and life.side in again:
            yield FewerShown(life.node, len(history.retransmits[life.node or ""]), counted)
