"""The rows between rows: how long nothing happened, and what that was a wait for. Idle is what is proven to be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate

from orchestrator.analysis.ladder.ends import GOT_FIN
from orchestrator.analysis.ladder.items import SILENCE, Items
from orchestrator.analysis.ladder.model import STRETCHES, Row, RowKind
from orchestrator.analysis.ladder.notes import Quiet, Silence
from orchestrator.history.model import Side
from orchestrator.tcp.lifecycle import SENT_FIN
from orchestrator.tcp.states import TcpState

_NEAR = 0.01

_IDLENESS = {True: Quiet.IDLE, False: Quiet.BUSY, None: Quiet.PERHAPS}


def with_silences(rows: Iterable[Row], found: Items) -> Iterator[Row]:
    last: Row | None = None
    whole = list(rows)
    # What takes its time may stand further down and have begun before: a silence lasts until the first of them all.
    begins = (row.after if row.kind in STRETCHES else math.inf for row in reversed(whole))
    for row, later in zip(whole, list(accumulate(begins, min))[::-1], strict=True):
        begun = min(row.after, later)
        if last is not None and begun - last.before >= SILENCE:
            ended = begun if row.kind in STRETCHES or begun < row.after else row.before
            yield silence_before(last, begun, ended, found)
        yield row
        last = row


def silence_before(last: Row, after: float, before: float, found: Items) -> Row:
    """The row for the time between a row and what happens in [after, before]."""
    states = {side: last.end(side).state for side in Side}
    what = Quiet.OTHER
    if last.awaits:
        what = Quiet.AT_WORK if _at_work(found, after) else Quiet.NO_ANSWER_YET
        what = Quiet.NO_WHOLE_ANSWER_YET if found.waits_for_the_rest(last.before, after) else what
        what = Quiet.OTHER if states[Side.SERVER] in SENT_FIN or states[Side.CLIENT] in GOT_FIN else what
    elif set(states.values()) == {TcpState.ESTABLISHED}:
        what = _IDLENESS[found.quiet(last.before, after, before) if last.awaits is not None else None]
    elif TcpState.SYN_SENT in states.values():
        what = Quiet.NO_ANSWER
    idle = None
    if what is Quiet.PERHAPS and (seen := found.quiet_until(last.before, after) or 0.0) - last.before >= SILENCE:
        # What the last sample shows is known, what went between it and the end of the silence is not.
        what, idle = Quiet.IDLE_AT_FIRST, seen - last.before
    data = _may_have_begun(found, last.before)
    if what in (Quiet.IDLE, Quiet.IDLE_AT_FIRST) and data < after:
        # Samples show that data went later. Of the first segment they tell only that it went after the sample before.
        if data - last.before < SILENCE:
            what, idle = Quiet.PERHAPS, None
        elif idle is None or data - last.before <= idle:
            after = before = data
            what, idle = Quiet.IDLE, None
    # Of what took its time the end and the beginning are known: the last of many requests, the first of them.
    lasted = (after - last.before, before - (last.before if last.kind in STRETCHES else last.after))
    client, server = (replace(last.end(side), changed=False, queue=None) for side in Side)
    told = (Silence(*lasted, what, idle),)
    return Row(last.before, after, RowKind.SILENCE, told, client, server, awaits=last.awaits)


def _may_have_begun(found: Items, t: float) -> float:
    """The earliest time at which data that nobody reports may have begun to go, of those that had not ended at `t`."""
    traffic = (item for item in found.items if item.kind is RowKind.TRAFFIC and item.before > t)
    return min((item.earliest for item in traffic), default=math.inf)


def _at_work(found: Items, t: float) -> bool:
    """Whether the server's program had taken a request up by `t`, as it tells itself, and not answered it."""
    exchanges = (item.exchange for item in found.items if item.kind is RowKind.REQUEST and item.exchange is not None)
    until = ((one, one.answered or (one.done if one.reported else math.inf)) for one in exchanges)
    return any(one.served is not None and one.served < t <= end + _NEAR for one, end in until)
