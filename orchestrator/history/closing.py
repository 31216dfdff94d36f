"""Which end of a connection closed first, how, and when: decided here, once, for every reader of a history.

The states of both ends tell it, whether samples or a trace show them. What no state shows a trace can tell: that a RST
ended the connection, or that an end gave up for want of an answer. Where samples show neither, the error that a
client's program met still proves what its peer sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import OPEN, Closing, ClosingKind, Connection, Side, Socket, Witness
from orchestrator.history.reports import errors_met
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import ACTIVE_CLOSE, EMBRYONIC, PASSIVE_CLOSE
from orchestrator.tcp.states import TcpState

_OPEN = EMBRYONIC | {TcpState.ESTABLISHED}

_GIVES_UP = (TcpState.SYN_SENT, TcpState.ESTABLISHED)

_AT_ONCE = 0.001
"""Seconds between two FINs within which nobody is called the first: they crossed."""

_RST_AFTER_CLOSE = 0.001

_EXACT = 1e-6
"""Seconds. A change of state in a shorter interval was traced."""


FIN_ERRORS = frozenset({"RemoteDisconnected", "IncompleteRead"})
"""Errors that a client meets after the server's FIN: it reads the end of file."""

RST_ERRORS = frozenset({"ConnectionResetError", "BrokenPipeError"})
"""Errors that a client meets after a RST."""


def closing_of(
    connection: Connection,
    resets: Mapping[frozenset[str], Sequence[Event]] | None = None,
    requests: Iterable[Event] = (),
) -> Closing:
    """Who closed the connection first, by the states of its ends, by a trace where there is one, else by what the
    client's program met.

    `resets`: all RSTs that the trace shows, by the two addresses; None without a trace. `requests`: those that the
    client reports of this connection.
    """
    closing = _by_states(connection)
    if resets is None:
        return _by_errors(connection, closing, requests) or closing
    senders = [closing.side] if closing.kind is ClosingKind.FIN else list(Side)
    left = [_leaves_open(end) for side in senders if (end := _end(connection, side)) is not None]
    exact = bool(left) and all(one is not None and one[1] - one[0] < _EXACT for one in left)
    if closing.kind in (ClosingKind.FIN, ClosingKind.SIMULTANEOUS):
        closing = replace(closing, traced=exact)
    return _by_reset(connection, closing, resets) or _given_up(connection, closing) or closing


@dataclass(frozen=True, slots=True)
class _Vote:
    """One end's states say that `side` sent the first FIN."""

    side: Side
    witness: Witness


def _by_states(connection: Connection) -> Closing:
    """What the states of both ends show.

    CLOSE_WAIT and LAST_ACK come only from a FIN that arrived before this end sent its own, so they name the other
    end. FIN_WAIT1, FIN_WAIT2 and TIME_WAIT name this end, unless both ends show such: then their FINs crossed, or one
    was lost.
    """
    votes = [vote for side in Side if (vote := _vote(connection, side))]
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
    at = _closed(connection, side)
    if at is None:
        return OPEN
    return Closing(kind, side, _node(connection, side), witnesses=tuple(vote.witness for vote in shown), at=at)


def _vote(connection: Connection, side: Side) -> _Vote | None:
    end = _end(connection, side)
    if end is None:
        return None
    states = [interval.state for interval in end.intervals]
    passive = next((state for state in states if state in PASSIVE_CLOSE), None)
    active = next((state for state in states if state in ACTIVE_CLOSE), None)
    if passive:
        return _Vote(side.other, Witness(end.node, passive))
    return _Vote(side, Witness(end.node, active)) if active else None


def _end(connection: Connection, side: Side | None) -> Socket | None:
    if side is None:
        return None
    return connection.client if side is Side.CLIENT else connection.server


def _node(connection: Connection, side: Side | None) -> str | None:
    if side is None:
        return None
    return connection.client_node if side is Side.CLIENT else connection.server_node


def _earlier(connection: Connection) -> Side | None:
    """Of two ends that both closed without having seen the other's FIN, the one that surely did so first: that FIN was
    lost. None when they did it at about the same time: then the FINs crossed."""
    for side in Side:
        one, other = _end(connection, side), _end(connection, side.other)
        if one is None or other is None:
            return None
        sooner, later = _leaves_open(one), _leaves_open(other)
        if sooner is not None and later is not None and sooner[1] + _AT_ONCE <= later[0]:
            return side
    return None


def _closed(connection: Connection, side: Side | None) -> tuple[float, float] | None:
    """When the first FIN or RST was sent, as an interval; None while no end shows that one was. `side`: who sent it.

    The sender's own socket bounds it on both sides. The receiver's bounds it only from above: a FIN may be under way
    for as long as it gets lost.
    """
    known = [interval for end in connection.ends if (interval := _leaves_open(end)) is not None]
    if not known:
        return None
    until = min(before for _, before in known)
    if side is None:
        return min(after for after, _ in known), until
    sender = _end(connection, side)
    interval = _leaves_open(sender) if sender is not None else None
    if interval is None:
        return birth(connection.ends[0])[0], until
    # Ends are sampled one after the other: a FIN may show at the receiver one tick before its sender.
    return interval if until <= interval[0] else (interval[0], until)


def _leaves_open(socket: Socket) -> tuple[float, float] | None:
    """The interval in which the socket stopped being open; None when it was open to the last tick."""
    opened = [interval for interval in socket.intervals if interval.state in _OPEN]
    if not opened:
        return birth(socket)
    last = opened[-1].last
    gap = next((gap for gap in socket.unknown if gap.after == last), None)
    return (gap.after, gap.before) if gap else None


def _by_errors(connection: Connection, closing: Closing, requests: Iterable[Event]) -> Closing | None:
    """What the first error proves that the client's program met, where the states show nothing: it had not closed, so
    the server did. With a NAT in between a RST may be the NAT's."""
    if closing.kind is not ClosingKind.UNKNOWN:
        return None
    for request in requests:
        met = frozenset(errors_met(request))
        if met & RST_ERRORS and not connection.via:
            kind, error = ClosingKind.RST, min(met & RST_ERRORS)
        elif met and met <= FIN_ERRORS:
            kind, error = ClosingKind.FIN, min(met)
        else:
            continue
        witness = Witness(str(request["node"]), error=error)
        at = _closed(connection, Side.SERVER)
        return Closing(kind, Side.SERVER, connection.server_node, witnesses=(witness,), at=at)
    return None


def _by_reset(
    connection: Connection, closing: Closing, by_pair: Mapping[frozenset[str], Sequence[Event]]
) -> Closing | None:
    """A RST, when one was sent before any FIN."""
    fin = closing.at[1] if closing.at and closing.kind is ClosingKind.FIN else math.inf
    found = [reset for reset in _resets_of(connection, by_pair) if float(reset["t"]) <= fin]
    if not found:
        return None
    reset = min(found, key=lambda reset: float(reset["t"]))
    t = float(reset["t"])
    sent_from = (reset["local"], reset["peer"])
    by_client = sent_from in (connection.client_pair, connection.server_pair[::-1])
    side = Side.CLIENT if by_client else Side.SERVER
    reason = str(reset.get("reason") or "")
    return Closing(ClosingKind.RST, side, reset["node"], reason, traced=True, at=(t, t))


def _resets_of(connection: Connection, by_pair: Mapping[frozenset[str], Sequence[Event]]) -> Iterator[Event]:
    """The RSTs to and from its ends. Through a NAT each end has an address pair of its own."""
    gone: dict[frozenset[str], float] = {}
    for end in connection.ends:
        pair = frozenset((end.local, end.peer))
        gone[pair] = max(death(end), gone.get(pair, -math.inf))
    for pair, last in gone.items():
        # close() with unread data reports CLOSED first and sends its RST some microseconds later.
        until = last + _RST_AFTER_CLOSE
        yield from (reset for reset in by_pair.get(pair, ()) if connection.opened[0] <= float(reset["t"]) <= until)


def _given_up(connection: Connection, closing: Closing) -> Closing | None:
    """An end that went from an open state to CLOSED when neither FIN nor RST was sent: it gave up, after
    `tcp_syn_retries` or `tcp_retries2` retransmissions without an answer, or, while it called, because its program did
    not want to wait any longer."""
    if closing.kind is not ClosingKind.UNKNOWN:
        return None
    dead = [(side, end) for side in Side if (end := _end(connection, side)) is not None and death(end) < math.inf]
    quitters = sorted(
        ((side, end) for side, end in dead if end.intervals[-1].state in _GIVES_UP), key=lambda each: death(each[1])
    )
    if not quitters:
        return None
    side, end = quitters[0]
    return Closing(ClosingKind.TIMEOUT, side, end.node, traced=True, at=(death(end), death(end)))
