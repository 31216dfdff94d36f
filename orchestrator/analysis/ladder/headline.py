"""The sentence above a ladder: who closed first, how, and why when the server reports it; where TIME_WAIT landed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.exchanges import Reports
from orchestrator.analysis.ladder.ends import GOT_FIN, SENT_FIN, Life
from orchestrator.analysis.ladder.explain import own_account
from orchestrator.analysis.ladder.items import Items
from orchestrator.analysis.ladder.model import Flags, RowKind
from orchestrator.analysis.ladder.order import Item
from orchestrator.analysis.ladder.resets import KEEPALIVE
from orchestrator.history.model import ClosingKind, Connection, Side
from orchestrator.history.nat import expired
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import duration

_S = TcpState

_CLOSING = (Flags.FIN, Flags.FIN_ACK, Flags.RST)

_TALK = (RowKind.REQUEST, RowKind.UNSERVED, RowKind.RESPONSE, RowKind.ERROR, RowKind.TRAFFIC)
"""What programs said to each other."""

_IDLE = 0.3
"""Seconds after which a closing is called one after idleness."""


def headline(connection: Connection, found: Items, reports: Reports) -> str:
    """`server closed first, with a FIN after 5.0 s idle (closed by server: idle); TIME_WAIT landed on server`."""
    parts = [_closing(connection, found, reports), *_errors(reports), *_left(found)]
    names = [flow.node + (", which forgot it" if expired(flow, connection) else "") for flow in connection.via]
    through = f"through {' and '.join(names)}: " if names else ""
    return through + "; ".join(part for part in parts if part)


def _closing(connection: Connection, found: Items, reports: Reports) -> str:
    wire = found.wire
    if not (wire.client.up or wire.server.up):
        return f"never established: {_unanswered(connection, found)}"
    if wire.closing.kind is ClosingKind.SIMULTANEOUS:
        return "both ends closed at the same time" + (": their FINs crossed" if wire.crossing else "")
    first = next((item for item in found.items if item.flags in _CLOSING and item.kind is RowKind.SEGMENT), None)
    closing = wire.closing
    ends = [life for life in (wire.client, wire.server) if life.socket]
    if first is None and closing.kind is ClosingKind.OPEN:
        if all(life.states <= {_S.SYN_SENT, _S.SYN_RECV, _S.ESTABLISHED} for life in ends):
            return "open at the end of the recording: nobody closed"
        return "it was closed before the recording began" if any(life.initial for life in ends) else "it was closed"
    sender = first.sender if first is not None and first.flags is Flags.RST else wire.first
    waited = "; ".join(_waited(found, first))
    if first is None or sender is None or first.sender is not sender:
        if closing.gave_up:
            return f"{closing.gave_up} gave up: no answer came, so neither FIN nor RST ended it"
        closer = closing.first_closer
        return waited or (f"{closer} closed first" if closer else "the recording does not show who closed first")
    if first.flags is Flags.RST:
        return f"{waited}; then {_reset(first, found, reports)}" if waited else _reset(first, found, reports)
    return f"{_name(wire.life(sender))} closed first, with a {_how(first, found, reports)}{_second(found, sender)}"


def _unanswered(connection: Connection, found: Items) -> str:
    if any(reset.sender is Side.SERVER for reset in found.wire.resets):
        return "the server's node answered with a RST"
    gave_up = connection.closing.gave_up
    return f"{gave_up} gave up, no answer came" if gave_up else "no answer was seen"


def _waited(found: Items, first: Item | None) -> Iterator[str]:
    """Ends that closed, before anything else did, without their FIN having come through."""
    for side, size in found.wire.waiting.items():
        closing = found.wire.life(side).into(SENT_FIN)
        if closing is not None and (first is None or closing.before < first.before):
            yield f"{_name(found.wire.life(side))} closed first; its FIN waited behind {size} unacknowledged bytes"


def _reset(first: Item, found: Items, reports: Reports) -> str:
    wire, sender = found.wire, first.sender
    assert sender is not None
    text = f"{first.by or _name(wire.life(sender))} reset the connection with a {_how(first, found, reports)}"
    if any(reset.reason == KEEPALIVE and reset.sender is sender for reset in wire.resets):
        text += f": {_name(wire.life(sender.other))} did not answer its keep-alive probes"
    return text


def _lost(first: Item, found: Items) -> str:
    """What became of the segment that closed the connection, when it did not simply arrive."""
    assert first.sender is not None
    if first.flags is not Flags.RST and first.sender in found.wire.waiting:
        return f" that waited behind {found.wire.waiting[first.sender]} unacknowledged bytes"
    if not first.lost:
        return ""
    noticed = first.sender in found.wire.acks or found.wire.life(first.sender.other).into(GOT_FIN) is not None
    return " that was lost at first" if noticed and first.flags is not Flags.RST else " that never arrived"


def _second(found: Items, sender: Side) -> str:
    """That the other end closed without having seen the first one's FIN, which was lost."""
    fin, other = found.wire.fins.get(sender), found.wire.life(sender.other)
    closing = other.into(SENT_FIN)
    if fin is None or not fin.lost or closing is None or closing.state is not _S.FIN_WAIT1:
        return ""
    later = duration(closing.after - fin.before, closing.before - fin.after)
    return f"; {_name(other)} closed {later} later without having seen it"


def _name(life: Life) -> str:
    return life.node or f"the {life.side}"


def _how(first: Item, found: Items, reports: Reports) -> str:
    lost = _lost(first, found)
    how = ("RST" if first.flags is Flags.RST else "FIN") + lost
    how += _after(first, found, lost)
    assert first.sender is not None
    closer = found.wire.life(first.sender).node
    ended = next((item for item in found.items if item.kind is RowKind.NODE and _ends_it(item, first, closer)), None)
    if reports.closed is not None and first.sender is Side.SERVER and first.by is None:
        how += f" ({own_account(closer, reports.closed['reason'])})"
    elif ended is not None:
        how += f" ({ended.text})"
    return how


def _after(first: Item, found: Items, lost: str) -> str:
    """What went before it: idleness, where that is known, or a wait for an answer, which is none."""
    talk = [item for item in found.items if item.before <= first.before and item.kind in _TALK]
    if not talk or any(item.kind is RowKind.ERROR for item in talk):
        return ""
    last = talk[-1]
    lasted = (first.after - last.before, first.before - last.before)
    if lasted[0] < _IDLE:
        return ""
    told = f"{',' if lost else ''} after {duration(*lasted)}"
    if last.kind in (RowKind.REQUEST, RowKind.UNSERVED):
        known = last.exchange is None or last.exchange.outcome_known
        return f"{told} without an answer" if known else ""
    return f"{told} idle" if found.quiet(last.before, first.after) else ""


def _ends_it(item: Item, first: Item, closer: str | None) -> bool:
    """Whether the end of the closer's program explains its FIN."""
    ends = item.node == closer and item.effect is not None and item.effect.ends_program
    return ends and abs(first.before - item.before) < _IDLE


def _errors(reports: Reports) -> Iterator[str]:
    names = [exchange.error for exchange in reports.exchanges if exchange.error]
    if len(names) == 1:
        yield f"a request failed with {names[0]}"
    elif names:
        yield f"{len(names)} requests failed with {', '.join(sorted(set(names)))}"


def _left(found: Items) -> Iterator[str]:
    """Where TIME_WAIT landed, and which end is still waiting for something."""
    ends = [life for life in (found.wire.client, found.wire.server) if life.socket]
    landed = [str(life.node) for life in ends if _S.TIME_WAIT in life.states]
    stuck = [(life, state) for life in ends if (state := _half_closed(life))]
    if landed:
        yield f"TIME_WAIT landed on {' and '.join(landed)}"
    if stuck:
        yield "left at the end: " + ", ".join(f"{state} on {life.node}" for life, state in stuck)
    if not landed and not stuck and found.wire.fins:
        yield "no TIME_WAIT was seen"


def _half_closed(life: Life) -> TcpState | None:
    """The half-closed state in which an end stands when the recording ends."""
    state = life.changes[-1].state if life.changes else life.initial
    return state if state in (_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING) else None
