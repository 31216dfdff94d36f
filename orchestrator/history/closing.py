"""Which end of a connection closed first, how, and when.

The states of both ends tell it, whether samples or a trace show them. What no state shows only a trace can tell: that
a RST ended the connection, or that an end gave up for want of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import Connection, Socket
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


def with_closing(connection: Connection) -> Connection:
    """The connection, with who closed it first as the states of its ends show it."""
    client, server, nodes = connection.client, connection.server, (connection.client_node, connection.server_node)
    closer, how = _first_closer(client, server, *nodes)
    closed = _closed(client, server, closer, nodes[0])
    return replace(connection, first_closer=closer, how=how if closed else "", closed=closed)


def traced_closing(connection: Connection, by_pair: Mapping[frozenset[str], Sequence[Event]]) -> Connection:
    """The same with what a trace tells: `by_pair` has all RSTs by the two addresses."""
    closer = connection.first_closer
    end = connection.server if closer == connection.server_node else connection.client
    left = _leaves_open(end) if closer and end is not None else None
    if left is not None and left[1] - left[0] < _EXACT:
        connection = replace(connection, how="FIN")
    return _given_up(_with_reset(connection, by_pair))


def _first_closer(
    client: Socket | None, server: Socket | None, client_node: str | None, server_node: str | None
) -> tuple[str | None, str]:
    """The node that sent the first FIN, and what shows it.

    CLOSE_WAIT and LAST_ACK come only from a FIN that arrived before this end sent its own, so they name the other
    end. FIN_WAIT1, FIN_WAIT2 and TIME_WAIT name this end, unless both ends show such: then their FINs crossed.
    """
    votes: list[tuple[str | None, str]] = []
    for end, node, other_node in ((client, client_node, server_node), (server, server_node, client_node)):
        states = [interval.state for interval in end.intervals] if end else []
        passive = next((state for state in states if state in PASSIVE_CLOSE), None)
        active = next((state for state in states if state in ACTIVE_CLOSE), None)
        if passive:
            votes.append((other_node, f"{passive} seen on {node}"))
        elif active:
            votes.append((node, f"{active} seen on {node}"))
    if not votes:
        return None, "no tick saw it close"
    if len({node for node, _ in votes}) > 1:
        both = " and ".join(how for _, how in votes)
        first = _earlier(client, server)
        if first is not None:
            return first.node, f"{both}, {first.node} first"
        return None, f"both closed at the same time: {both}"
    # The passive end's word is the stronger one: no crossing FINs can lead there.
    return min(votes, key=lambda vote: not vote[1].startswith(tuple(PASSIVE_CLOSE)))


def _earlier(client: Socket | None, server: Socket | None) -> Socket | None:
    """Of two ends that both closed without having seen the other's FIN, the one that surely did so first: that FIN was
    lost. None when they did it at about the same time: then the FINs crossed."""
    if client is None or server is None:
        return None
    for one, other in ((client, server), (server, client)):
        sooner, later = _leaves_open(one), _leaves_open(other)
        if sooner is not None and later is not None and sooner[1] + _AT_ONCE <= later[0]:
            return one
    return None


def _closed(
    client: Socket | None, server: Socket | None, closer: str | None, client_node: str | None
) -> tuple[float, float] | None:
    """When the first FIN or RST was sent, as an interval; None while no end shows that one was.

    The sender's own socket bounds it on both sides. The receiver's bounds it only from above: a FIN may be under way
    for as long as it gets lost.
    """
    leaving = [_leaves_open(end) for end in (client, server) if end is not None]
    known = [interval for interval in leaving if interval is not None]
    if not known:
        return None
    until = min(before for _, before in known)
    if closer is None:
        return min(after for after, _ in known), until
    sender = client if closer == client_node else server
    interval = _leaves_open(sender) if sender is not None else None
    if interval is None:
        seen = client or server
        return (birth(seen)[0] if seen else -math.inf), until
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


def _with_reset(connection: Connection, by_pair: Mapping[frozenset[str], Sequence[Event]]) -> Connection:
    """The connection, with a RST as what closed it first when one was sent before any FIN."""
    fin = connection.closed[1] if connection.closed and connection.first_closer else math.inf
    found = [reset for reset in _resets_of(connection, by_pair) if float(reset["t"]) <= fin]
    if not found:
        return connection
    reset = min(found, key=lambda reset: float(reset["t"]))
    t = float(reset["t"])
    how = f"RST ({reset['reason']})" if reset.get("reason") else "RST"
    return replace(connection, first_closer=reset["node"], how=how, closed=(t, t))


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


def _given_up(connection: Connection) -> Connection:
    """The connection, with what ended it when an end went from an open state to CLOSED and neither FIN nor RST was
    sent: it gave up, after `tcp_syn_retries` or `tcp_retries2` retransmissions without an answer, or, while it called,
    because its program did not want to wait any longer."""
    if connection.first_closer is not None or connection.closed is None:
        return connection
    ends = [end for end in connection.ends if death(end) < math.inf]
    quitters = sorted((end for end in ends if end.intervals[-1].state in _GIVES_UP), key=death)
    if not quitters:
        return connection
    gone = death(quitters[0])
    node = quitters[0].node
    return replace(connection, how=f"timeout on {node}", closed=(gone, gone), gave_up=node)
