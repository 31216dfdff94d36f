"""Connections that got ESTABLISHED, by the birth of their socket on the node."""

from __future__ import annotations

from functools import partial

from orchestrator.history.index import Index
from orchestrator.history.lifetimes import birth
from orchestrator.history.model import Connection, Socket
from orchestrator.judge.evidence import connection_seen, socket_born, unobserved
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Sum, Tally
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState

_HANDSHAKE_ONLY = EMBRYONIC | {TcpState.CLOSED, TcpState.LISTEN}


def connections(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    total = Sum(inside)
    half_observed = index.half_observed(node)
    ends_of_these = {id(end) for connection in half_observed for end in (connection.client, connection.server)}
    for socket in index.sockets.get(node, ()):
        if socket.intervals[-1].state is TcpState.SYN_RECV and id(socket) in ends_of_these:
            continue  # its connection is counted below, as one
        least, most = _became_connection(socket)
        least = max(least, int(id(socket) in index.answered))
        matches = where.socket(socket)
        if matches is not False:
            total.add(*birth(socket), least if matches else 0, most, partial(socket_born, index, socket))
    for connection in half_observed:
        matches = end_matches(where, connection, node)
        if matches is not False:
            item = partial(connection_seen, connection, unobserved_end=node)
            total.add(*connection.opened, int(matches is True), 1, item)
    for entry in index.wholly_unobserved(node):
        least = entry.least if where.everything else 0
        total.add(entry.after, entry.before, least, entry.most, partial(unobserved, entry))
    return total.tally()


def _became_connection(socket: Socket) -> tuple[int, int]:
    """(1, 1) when it was surely ESTABLISHED once, (0, 1) when only a gap could hide that, (0, 0) when never."""
    if any(interval.state not in _HANDSHAKE_ONLY for interval in socket.intervals):
        return 1, 1
    return 0, int(any(gap.states - _HANDSHAKE_ONLY for gap in socket.unknown))


def end_matches(where: Filter, connection: Connection, node: str) -> bool | None:
    """Whether the filter matches the connection's end on the node, also when that end was unseen."""
    own, pair = connection.client, connection.client_pair
    if connection.client_node != node:
        own, pair = connection.server, connection.server_pair
    return where.socket(own) if own is not None else where.match(*pair, None)


EVALUATIONS = {"connections": counter(connections)}
