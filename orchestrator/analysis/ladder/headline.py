"""What the sentence above a ladder tells: who closed first, how, and why when the server reports it; where TIME_WAIT
landed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.analysis.exchanges import Reports
from orchestrator.analysis.ladder.ends import GOT_FIN, Life
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.headlinenotes import (
    Closed,
    ClosedBehindData,
    ClosedFirst,
    ClosedUnaware,
    ClosingSegment,
    Failures,
    Fate,
    GaveUpAlone,
    Headline,
    Left,
    NeverEstablished,
    OpenToTheEnd,
    Pause,
    Simultaneous,
    Through,
    TimeWaitLanded,
)
from orchestrator.analysis.ladder.items import Items
from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import Befell, Note, OwnAccount
from orchestrator.analysis.ladder.order import Item
from orchestrator.analysis.ladder.resets import KEEPALIVE
from orchestrator.analysis.silence import silence
from orchestrator.analysis.timers import fitting, timers_of
from orchestrator.history.model import ClosingKind, Connection, Side
from orchestrator.history.nat import expired
from orchestrator.history.segments import FILTER
from orchestrator.tcp.lifecycle import SENT_FIN
from orchestrator.tcp.states import TcpState

_S = TcpState

_CLOSING = (Flags.FIN, Flags.FIN_ACK, Flags.RST)

_TALK = (RowKind.REQUEST, RowKind.UNSERVED, RowKind.RESPONSE, RowKind.ERROR, RowKind.TRAFFIC)
"""What programs said to each other."""

_IDLE = 0.3
"""Seconds after which a closing is called one after idleness."""


def headline(connection: Connection, found: Items, reports: Reports) -> Headline:
    """`server closed first, with a FIN after 5.0 s idle (closed by server: idle); TIME_WAIT landed on server`."""
    via = tuple(Through(flow.node, expired(flow, connection)) for flow in connection.via)
    return Headline(via, (*_closing(connection, found, reports), *_errors(reports), *_left(found)))


def _closing(connection: Connection, found: Items, reports: Reports) -> Iterator[Note]:
    wire, closing = found.wire, found.wire.closing
    first = next((item for item in found.items if item.flags in _CLOSING and item.kind is RowKind.SEGMENT), None)
    ends = [life for life in (wire.client, wire.server) if life.socket]
    if not (wire.client.up or wire.server.up):
        refused = any(reset.sender is Side.SERVER and reset.by != FILTER for reset in wire.resets)
        yield NeverEstablished(refused, connection.closing.gave_up, wire.taken.refused_syn)
    elif closing.kind is ClosingKind.SIMULTANEOUS:
        yield Simultaneous(wire.crossing)
    elif first is None and closing.kind is ClosingKind.OPEN:
        still = all(life.states <= {_S.SYN_SENT, _S.SYN_RECV, _S.ESTABLISHED} for life in ends)
        yield OpenToTheEnd() if still else Closed(before=any(life.initial for life in ends))
    else:
        yield from _closed(connection, found, first, reports)


def _closed(connection: Connection, found: Items, first: Item | None, reports: Reports) -> Iterator[Note]:
    wire, closing = found.wire, found.wire.closing
    sender = first.sender if first is not None and first.flags is Flags.RST else wire.first
    waited = list(_waited(found, first))
    if first is None or sender is None or first.sender is not sender:
        if closing.gave_up:
            again = sum(wire.life(one.sender).node == closing.gave_up for one in wire.retransmissions)
            yield GaveUpAlone(closing.gave_up, again)
        elif waited:
            yield from waited
        else:
            yield ClosedFirst(closing.first_closer)
    elif first.flags is Flags.RST:
        yield from waited
        yield _segment(connection, first, sender, found, reports, then=bool(waited))
    else:
        yield _segment(connection, first, sender, found, reports)
        yield from _second(found, sender)


def _waited(found: Items, first: Item | None) -> Iterator[ClosedBehindData]:
    """Ends that closed, before anything else did, without their FIN having come through."""
    for side, size in found.wire.waiting.items():
        closing = found.wire.life(side).into(SENT_FIN)
        if closing is not None and (first is None or closing.before < first.before):
            yield ClosedBehindData(found.wire.life(side).party, size)


def _segment(
    connection: Connection, first: Item, sender: Side, found: Items, reports: Reports, *, then: bool = False
) -> ClosingSegment:
    wire, rst = found.wire, first.flags is Flags.RST
    fate = _fate(first, sender, found)
    probes = rst and any(reset.reason == KEEPALIVE and reset.sender is sender for reset in wire.resets)
    closer = wire.life(sender).node
    closed = reports.closed if sender is Side.SERVER and first.by is None else None
    account = None if closed is None else OwnAccount(closer, str(closed["reason"]))
    ended = next((item for item in found.items if item.kind is RowKind.NODE and _ends_it(item, first, closer)), None)
    return ClosingSegment(
        rst=rst,
        by=wire.life(sender).party,
        between=first.by if rst else None,
        then=then,
        fate=fate,
        unacknowledged=wire.waiting[sender] if fate is Fate.WAITED else None,
        pause=_pause(first, found, connection, None if account is not None else sender),
        account=account,
        ended=ended.says if ended is not None and account is None and isinstance(ended.says, Befell) else None,
        unanswered_probes=wire.life(sender.other).party if probes else None,
    )


def _fate(first: Item, sender: Side, found: Items) -> Fate:
    """What became of the segment that closed the connection."""
    if first.flags is not Flags.RST and sender in found.wire.waiting:
        return Fate.WAITED
    if not first.lost:
        return Fate.ARRIVED
    noticed = sender in found.wire.acks or found.wire.life(sender.other).into(GOT_FIN) is not None
    return Fate.LOST_AT_FIRST if noticed and first.flags is not Flags.RST else Fate.NEVER_ARRIVED


def _second(found: Items, sender: Side) -> Iterator[ClosedUnaware]:
    """That the other end closed without having seen the first one's FIN, which was lost."""
    fin, other = found.wire.fins.get(sender), found.wire.life(sender.other)
    closing = other.into(SENT_FIN)
    if fin is not None and fin.lost and closing is not None and closing.state is _S.FIN_WAIT1:
        yield ClosedUnaware(other.party, closing.after - fin.before, closing.before - fin.after)


def _pause(first: Item, found: Items, connection: Connection, closer: Side | None) -> Pause | None:
    """What went before it: idleness, where that is known, or a wait for an answer, which is none. `closer`: who closed
    it without saying why."""
    talk = [item for item in found.items if item.before <= first.before and item.kind in _TALK]
    if not talk or any(item.kind is RowKind.ERROR for item in talk):
        return None
    last = talk[-1]
    lasted = (first.after - last.before, first.before - last.before)
    if lasted[0] < _IDLE:
        return None
    if last.kind in (RowKind.REQUEST, RowKind.UNSERVED):
        known = last.exchange is None or last.exchange.outcome_known
        asked = last.exchange
        known = asked is None or asked.outcome_known
        at_work = asked is not None and asked.served is not None and (asked.answered or math.inf) > first.before
        begun = found.answer_begun(last.before, first.after)
        return _timed(found, closer, lasted, unanswered=True, at_work=at_work, begun=begun) if known else None
    if not found.quiet(last.before, first.after, first.before):
        return None
    # Of data that nobody reports the kernel tells in which direction the last went.
    before = silence(connection, found.history) if last.kind is RowKind.TRAFFIC else None
    return _timed(found, closer, lasted, unanswered=before is not None and before.unanswered)


def _timed(
    found: Items,
    closer: Side | None,
    lasted: tuple[float, float],
    *,
    unanswered: bool,
    at_work: bool = False,
    begun: bool = False,
) -> Pause:
    node = None if closer is None else found.wire.life(closer).node
    timer = None
    if closer is not None:
        timer = fitting(timers_of(found.history), node, closer, *lasted, unanswered=unanswered)
    return Pause(*lasted, unanswered=unanswered, begun=begun, at_work=at_work, timer=timer)


def _ends_it(item: Item, first: Item, closer: str | None) -> bool:
    """Whether the end of the closer's program explains its FIN."""
    ends = item.node == closer and item.effect is not None and item.effect.ends_program
    return ends and abs(first.before - item.before) < _IDLE


def _errors(reports: Reports) -> Iterator[Note]:
    names = tuple(exchange.error for exchange in reports.exchanges if exchange.error)
    if names:
        yield Failures(names)


def _left(found: Items) -> Iterator[Note]:
    """Where TIME_WAIT landed, and which end is still waiting for something."""
    ends = [life for life in (found.wire.client, found.wire.server) if life.socket]
    landed = tuple(life.node for life in ends if _S.TIME_WAIT in life.states)
    stuck = tuple((state, life.node) for life in ends if (state := _half_closed(life)))
    if landed:
        yield TimeWaitLanded(landed)
    if stuck:
        yield Left(stuck)
    if not landed and not stuck and found.wire.fins:
        yield TimeWaitLanded(())


def _half_closed(life: Life) -> TcpState | None:
    """The half-closed state in which an end stands when the recording ends."""
    state = life.changes[-1].state if life.changes else life.initial
    return state if state in (_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING) else None
