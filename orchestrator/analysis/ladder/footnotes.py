"""What a reader may need to read one ladder, below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.ladder.items import Items
from orchestrator.analysis.ladder.model import STRETCHES, Row, RowKind
from orchestrator.history.model import Side
from orchestrator.tcp.states import TcpState

_S = TcpState


def footnotes_of(rows: Sequence[Row], found: Items) -> Iterator[str]:
    """What a reader may need to read this ladder, and only that."""
    timed = [row for row in rows if row.kind not in (RowKind.SILENCE, *STRETCHES)]
    if any(row.before - row.after > 0.001 for row in timed):
        yield "5.27-5.32, ~5.30: between two observations; 5.303: to the millisecond"
    waiting = [row.end(side) for row in rows for side in Side if row.end(side).state is _S.CLOSE_WAIT]
    unread = {end.queue[1] for end in waiting if end.queue}
    if 1 in unread:
        yield "Recv-Q 1 in CLOSE_WAIT: the FIN came, the program has not read the end yet"
    if 0 in unread:
        yield "Recv-Q 0 in CLOSE_WAIT: the program has read the end and does not close"
    if unread - {0, 1}:
        yield "Recv-Q above 1 in CLOSE_WAIT: the program has not even read what came before the FIN"
    yield from _fewer(rows, found)
    for life in (found.wire.client, found.wire.server):
        if life.socket is None:
            whose = f"of {life.node}" if life.node else f"of the {life.side}"
            yield f"the end {whose} was not seen: its column shows what the other end proves"


def _fewer(rows: Sequence[Row], found: Items) -> Iterator[str]:
    """Of ends that sent more again than the trace shows one by one."""
    history = found.history
    again = {row.sender for row in rows if row.kind is RowKind.RETRANSMIT}
    for life in (found.wire.client, found.wire.server):
        counted = history.retransmits_counted.get(life.node or "")
        if counted is not None and life.side in again:
            shown = len(history.retransmits[life.node or ""])
            yield (
                f"the trace shows {shown} retransmissions of {life.node}, its kernel counted {counted}: one may stand "
                "for several segments"
            )
