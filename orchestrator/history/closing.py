"""Which end of a connection closed first, how, and when: decided here, once, for every reader of a history.

The states of both ends tell it, whether samples or a trace show them. What no state shows a trace can tell: that a RST
ended the connection, or that an end gave up for want of an answer. Where samples show neither, the error that a
client's program met still proves what its peer sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.history.firstsegment import Ends
from orchestrator.history.lifetimes import death
from orchestrator.history.model import OPEN, SIDES, Closing, ClosingKind, Connection, Side, Witness
from orchestrator.history.ownresets import ONE_RST, nearest, of_pairs
from orchestrator.history.reports import errors_met
from orchestrator.history.segments import Segment
from orchestrator.history.votes import AT_ONCE, by_states, closed_between, end_of, leaves_open, node_of, vote_of
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import PASSIVE_CLOSE
from orchestrator.tcp.states import TcpState

_GIVES_UP = (TcpState.SYN_SENT, TcpState.ESTABLISHED)

_HEARD = PASSIVE_CLOSE | {TcpState.CLOSING, TcpState.TIME_WAIT}
"""States that only the peer's FIN leads to."""

_ARRIVED = 0.25
"""Seconds after which a FIN that was not lost has surely arrived: a lab's links delay less, where no step
delays them."""

_RST_AFTER_CLOSE = 0.001

_TOLD = 0.1
"""Seconds after which an ICMP message has surely ended the end that it is for, on a busy machine too."""

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
    ends: Ends | None = None,
) -> Closing:
    """Who closed the connection first: by the first FIN or RST that entered the network, where segments were recorded;
    else by the states of its ends, by a trace where there is one, else by what the client's program met.

    `resets`: all RSTs that the trace shows, by the two addresses; None without a trace. `requests`: those that the
    client reports of this connection. `ends`: what is on the wire of it.
    """
    if ends is not None:
        return _by_segments(connection, ends, resets)
    closing = by_states(connection)
    if resets is None:
        return _by_errors(connection, closing, requests) or closing
    senders = [closing.side] if closing.kind is ClosingKind.FIN else list(Side)
    left = [leaves_open(end) for side in senders if (end := end_of(connection, side)) is not None]
    exact = bool(left) and all(one is not None and one[1] - one[0] < _EXACT for one in left)
    if closing.kind in (ClosingKind.FIN, ClosingKind.SIMULTANEOUS):
        closing = replace(closing, traced=exact)
    return _by_reset(connection, closing, resets) or _given_up(connection, closing) or closing


def _by_segments(
    connection: Connection, ends: Ends, resets: Mapping[frozenset[str], Sequence[Event]] | None
) -> Closing:
    """What was sent first. Whoever gave up is named with it, and alone where nothing that was sent has arrived: a trace
    shows that. Between samples a socket goes through states that nobody sees."""
    gave_up = None if resets is None else _quitter(connection, ends)
    if ends.first is None:
        return _timeout(connection, gave_up) if gave_up is not None else _open_or_unknown(connection)
    side, segment = ends.first
    at = (segment.t, segment.t)
    if ends.first.is_rst:
        reason = _reason(connection, segment, resets or {})
        return Closing(ClosingKind.RST, side, segment.node, reason, traced=True, at=at)
    answer = ends.fin(side.other)
    crossed = answer is not None and not answer.acknowledges(segment.after_fin) and answer.t - segment.t < AT_ONCE
    if crossed:
        return Closing(ClosingKind.SIMULTANEOUS, traced=True, at=at, witnesses=_shown(connection))
    lost = _lost(connection, side, segment.t, ends)
    if lost and gave_up is side.other:
        return replace(_timeout(connection, gave_up), lost=True)
    abandoned = None if gave_up is None else node_of(connection, gave_up)
    witnesses = _shown(connection)[:1]
    return Closing(
        ClosingKind.FIN, side, segment.node, witnesses=witnesses, traced=True, at=at, lost=lost, abandoned=abandoned
    )


def _shown(connection: Connection) -> tuple[Witness, ...]:
    votes = [vote.witness for side in SIDES if (vote := vote_of(connection, side))]
    return tuple(sorted(votes, key=lambda witness: witness.state not in PASSIVE_CLOSE))


def _timeout(connection: Connection, side: Side) -> Closing:
    end = end_of(connection, side)
    assert end is not None
    return Closing(ClosingKind.TIMEOUT, side, end.node, traced=True, at=(death(end), death(end)))


def _open_or_unknown(connection: Connection) -> Closing:
    """Nothing that closes was sent: so an end that is gone has sent nothing, and why is not known."""
    at = closed_between(connection, None)
    return OPEN if at is None else Closing(ClosingKind.UNKNOWN, traced=True, at=at)


def _reason(connection: Connection, segment: Segment, resets: Mapping[frozenset[str], Sequence[Event]]) -> str:
    """The kernel's reason for a RST, by the trace's event of the same node that is nearest."""
    found = nearest(segment, of_pairs(connection, resets))
    return "" if found is None else str(found.get("reason") or "")


def _quitter(connection: Connection, ends: Ends) -> Side | None:
    """The end that ended for want of an answer: it died in a state that only a segment, an ICMP message or a RST of its
    own ends, and there was none. None when no end did."""
    quit_at: list[tuple[float, Side]] = []
    for side in SIDES:
        end = end_of(connection, side)
        if end is None or death(end) == math.inf or end.intervals[-1].state not in _GIVES_UP:
            continue
        gone = death(end)
        refused = any(-ONE_RST <= gone - told <= _TOLD for told in ends.told)
        if not refused and not any(one.is_rst and one.segment.t <= gone + ONE_RST for one in ends.sent):
            quit_at.append((gone, side))
    return min(quit_at)[1] if quit_at else None


def _lost(connection: Connection, side: Side, sent: float, ends: Ends) -> bool:
    """Whether the FIN of a side surely did not arrive: the other end lived on, and none of its states shows it; nor
    does a FIN of its own acknowledge it."""
    other = end_of(connection, side.other)
    fin, answer = ends.fin(side), ends.fin(side.other)
    if other is None or fin is None or (answer is not None and answer.acknowledges(fin.after_fin)):
        return False
    later = [interval for interval in other.intervals if interval.last > sent + _ARRIVED + ends.slow]
    return bool(later) and all(interval.state not in _HEARD for interval in other.intervals)


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
        at = closed_between(connection, Side.SERVER)
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
    dead = [(side, end) for side in SIDES if (end := end_of(connection, side)) is not None and death(end) < math.inf]
    quitters = sorted(
        ((side, end) for side, end in dead if end.intervals[-1].state in _GIVES_UP), key=lambda each: death(each[1])
    )
    if not quitters:
        return None
    side, end = quitters[0]
    return Closing(ClosingKind.TIMEOUT, side, end.node, traced=True, at=(death(end), death(end)))
