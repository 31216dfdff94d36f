"""What the states of both ends of a connection show of its closing: part of what closing.py decides."""

from __future__ import annotations

from orchestrator.history.lifetimes import birth
from orchestrator.history.model import Connection, Socket
from orchestrator.recording.closing import OPEN, Closing, ClosingKind, Side, Witness
from orchestrator.tcp.lifecycle import ACTIVE_CLOSE, EMBRYONIC, PASSIVE_CLOSE
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_OPEN = EMBRYONIC | {TcpState.ESTABLISHED}

AT_ONCE = 0.001
"""Seconds between two FINs within which nobody is called the first: they crossed."""


@record
class Vote:
    """One end's states say that `side` sent the first FIN."""

    side: Side
    witness: Witness


def by_states(connection: Connection) -> Closing:
    """What the states of both ends show.

    CLOSE_WAIT and LAST_ACK come only from a FIN that arrived before this end sent its own, so they name the other
    end. FIN_WAIT1, FIN_WAIT2 and TIME_WAIT name this end, unless both ends show such: then their FINs crossed, or one
    was lost.
    """
    votes = [vote for side in Side if (vote := vote_of(connection, side))]
    sides = {vote.side for vote in votes}
    if len(sides) > 1:
        side = _earlier(connection)
        kind = ClosingKind.SIMULTANEOUS if side is None else ClosingKind.FIN
        shown = votes
    else:
        side = next(iter(sides), None)
        kind = ClosingKind.UNKNOWN if side is None else ClosingKind.FIN
        # The passive end's word is the stronger one: no crossing FINs can lead there.
        shown = sorted(votes, key=lambda vote: vote.witness.state not in PASSIVE_CLOSE)[:1]
    at = closed_between(connection, side)
    if at is None:
        return OPEN
    return Closing(kind, side, node_of(connection, side), witnesses=tuple(vote.witness for vote in shown), at=at)


def vote_of(connection: Connection, side: Side) -> Vote | None:
    end = end_of(connection, side)
    if end is None:
        return None
    active: TcpState | None = None
    for state, _, _ in end.intervals:
        if state in PASSIVE_CLOSE:
            return Vote(side.other, Witness(end.node, state))
        if active is None and state in ACTIVE_CLOSE:
            active = state
    return Vote(side, Witness(end.node, active)) if active else None


def end_of(connection: Connection, side: Side | None) -> Socket | None:
    if side is None:
        return None
    return connection.client if side is Side.CLIENT else connection.server


def node_of(connection: Connection, side: Side | None) -> str | None:
    if side is None:
        return None
    return connection.client_node if side is Side.CLIENT else connection.server_node


def _earlier(connection: Connection) -> Side | None:
    """Of two ends that both closed without having seen the other's FIN, the one that surely did so first: that FIN was
    lost. None when they did it at about the same time: then the FINs crossed."""
    for side in Side:
        one, other = end_of(connection, side), end_of(connection, side.other)
        if one is None or other is None:
            return None
        sooner, later = leaves_open(one), leaves_open(other)
        if sooner is not None and later is not None and sooner[1] + AT_ONCE <= later[0]:
            return side
    return None


def closed_between(connection: Connection, side: Side | None) -> tuple[float, float] | None:
    """When the first FIN or RST was sent, as an interval; None while no end shows that one was. `side`: who sent it.

    The sender's own socket bounds it on both sides. The receiver's bounds it only from above: a FIN may be under way
    for as long as it gets lost.
    """
    known = [interval for end in connection.ends if (interval := leaves_open(end)) is not None]
    if not known:
        return None
    until = min(before for _, before in known)
    if side is None:
        return min(after for after, _ in known), until
    sender = end_of(connection, side)
    interval = leaves_open(sender) if sender is not None else None
    if interval is None:
        return birth(connection.ends[0])[0], until
    # Ends are sampled one after the other: a FIN may show at the receiver one tick before its sender.
    return interval if until <= interval[0] else (interval[0], until)


def leaves_open(socket: Socket) -> tuple[float, float] | None:
    """The interval in which the socket stopped being open; None when it was open to the last tick."""
    opened = [interval for interval in socket.intervals if interval.state in _OPEN]
    if not opened:
        return birth(socket)
    last = opened[-1].last
    gap = next((gap for gap in socket.unknown if gap.after == last), None)
    return (gap.after, gap.before) if gap else None
