"""Joins the two ends of each connection.

Ends belong together when the local address of the one is the peer address of the other and both were born at about
the same time. Ports are used again, so one address pair can be many connections, one after the other: they are paired
in order of birth. Only sockets of one address pair are compared, so the work is near-linear in their number.

Where a NAT is between the ends, the server's end counts as one of the address pair that the client's end has.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.history.closing import closing_of
from orchestrator.history.firstsegment import of_connection
from orchestrator.history.lifetimes import birth, death, up
from orchestrator.history.model import Connection, Socket
from orchestrator.history.moves import NO_MOVES, Moves
from orchestrator.history.nat import NO_NAT, NatPath, Translations
from orchestrator.history.ownresets import by_pairs, own_resets
from orchestrator.history.reports import Finder
from orchestrator.history.segments import NO_WIRE, Wire
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import ANY, node_at, split_address
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState

Pair = tuple[Socket | None, Socket | None]


def join(
    sockets: Iterable[Socket],
    addresses: Mapping[str, str],
    resets: Iterable[Event] | None = None,
    translations: Translations = NO_NAT,
    requests: Iterable[Event] = (),
    wire: Wire = NO_WIRE,
    moves: Moves = NO_MOVES,
) -> tuple[Connection, ...]:
    """Every connection of which at least one end was seen, in order of birth. `addresses`: address -> node; `moves`:
    which other nodes had one of them later.

    `resets` are the RST segments that a trace shows, all of them; None: no trace, so a RST that ended a connection is
    not known, and neither is an end that gave up. `translations`: what NATs did. `requests`: those that clients report,
    in order of time. `wire`: the segments that opened and closed them, where they were recorded.
    """
    by_pair = by_pairs(resets or ())
    listening: set[tuple[str, str, int | None]] = set()
    ends: dict[frozenset[tuple[str | None, str]], tuple[list[Socket], list[Socket]]] = defaultdict(lambda: ([], []))
    nat_paths: dict[int, NatPath] = {}
    for socket in sockets:
        if socket.intervals[0].state is TcpState.LISTEN:
            listening.add((socket.node, *split_address(socket.local)))
            continue
        known = moves.at(up(socket), addresses)
        local: tuple[str | None, str] = (socket.node, socket.local)
        peer = (node_at(socket.peer, socket.node, known), socket.peer)
        nat_path = translations.of(socket)
        if nat_path is not None:
            nat_paths[id(socket)] = nat_path
            if not nat_path.from_client:
                peer, local = ((node_at(at, socket.node, known), at) for at in nat_path.peer_pair)
        # Which side of the pair a socket is on must not depend on which one came first.
        ends[frozenset((local, peer))][_order(local, peer)].append(socket)
    found = [
        _connection(pair, listening, addresses, nat_paths, moves)
        for one_side, other_side in ends.values()
        for pair in _pair_up(_by_birth(one_side), _by_birth(other_side))
    ]
    traced = by_pair if resets is not None else None
    reported = Finder(found).sort(requests, by_client=True)
    on_wire = [of_connection(connection, wire) for connection in found]
    own = own_resets(found, by_pair, on_wire)
    closed = [
        replace(
            connection,
            closing=closing_of(connection, traced, reported.get(number, ()), ends),
            resets=own[number],
            fins=None if ends is None else ends.fins,
            carried=None if ends is None else ends.carried,
        )
        for number, (connection, ends) in enumerate(zip(found, on_wire, strict=True))
    ]
    return tuple(sorted(closed, key=lambda connection: (connection.opened[1], connection.opened[0])))


def _order(local: tuple[str | None, str], peer: tuple[str | None, str]) -> int:
    return int((local[1], local[0] or "") > (peer[1], peer[0] or ""))


def _by_birth(sockets: list[Socket]) -> list[Socket]:
    return sorted(sockets, key=birth) if len(sockets) > 1 else sockets


def _pair_up(ours: Sequence[Socket], theirs: Sequence[Socket]) -> list[Pair]:
    """Pairs ends of one address pair, both in order of birth. What has no other end stays alone."""
    pairs: list[Pair] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        one, other = ours[i], theirs[j]
        if not _can_be_one(one, other):
            alone_first = birth(one) < birth(other)
        elif j + 1 < len(theirs) and _apart(one, theirs[j + 1]) < _apart(one, other):
            # The other end of `one` is the next socket; this one is what an earlier connection left behind.
            alone_first = False
        elif i + 1 < len(ours) and _apart(ours[i + 1], other) < _apart(one, other):
            alone_first = True
        else:
            pairs.append((one, other))
            i, j = i + 1, j + 1
            continue
        if alone_first:
            pairs.append((one, None))
            i += 1
        else:
            pairs.append((None, other))
            j += 1
    pairs += [(one, None) for one in ours[i:]]
    pairs += [(None, other) for other in theirs[j:]]
    return pairs


def _can_be_one(one: Socket, other: Socket) -> bool:
    """Whether two sockets of one address pair can be ends of one connection.

    They are born at the same time, or seen at the same time, or the second is born while the first waits for it with
    its handshake. Births in successive intervals are at the same time too: nodes are sampled one after the other, and
    a loop of short connections meets that small difference often. That the one may have gone when the other came is
    not enough: the port was used again.
    """
    if _called_after(one, other) or _called_after(other, one):
        return False
    first, second = birth(one), birth(other)
    early, late = (other, one) if second < first else (one, other)
    late_from, early_by = max(first, second)[0], min(first, second)[1]
    if late_from >= death(early):
        return False
    if late_from <= early_by or early.intervals[-1].last >= late.intervals[0].first:
        return True
    waiting = [interval for interval in early.intervals if interval.first <= late_from]
    return bool(waiting) and waiting[-1].state in EMBRYONIC


def _called_after(caller: Socket, callee: Socket) -> bool:
    """Whether one sent its SYN when the other was up by an earlier one: that SYN met a connection that was left behind
    at this address pair, as one in CLOSE_WAIT, and was answered with an ACK. Its SYN_RECV does not count: a sample that
    shows it is dated up to its duration early."""
    calls, called = caller.intervals[0], callee.intervals[0]
    known = calls.state is TcpState.SYN_SENT and called.state is TcpState.SYN_RECV
    return known and birth(caller)[0] > called.last


def _apart(one: Socket, other: Socket) -> float:
    """Seconds between two births, by the ticks that first showed them; inf when the two cannot be one connection."""
    return abs(one.intervals[0].first - other.intervals[0].first) if _can_be_one(one, other) else math.inf


def _connection(
    pair: Pair,
    listening: set[tuple[str, str, int | None]],
    addresses: Mapping[str, str],
    nat_paths: Mapping[int, NatPath],
    moves: Moves,
) -> Connection:
    one, other = pair
    first, second = (one, other) if one is not None else (other, one)
    assert first is not None
    nat_path = nat_paths.get(id(first))
    second_local = nat_path.peer_pair[0] if nat_path else first.peer
    second_node = second.node if second else node_at(second_local, first.node, moves.at(up(first), addresses))
    by_client = nat_path.from_client if nat_path else _is_client(first, second, second_node, listening)
    client, server = (first, second) if by_client else (second, first)
    client_node, server_node = (first.node, second_node) if by_client else (second_node, first.node)
    return Connection(
        client,
        server,
        birth(client or first),
        client_node,
        server_node,
        via=nat_path.flows if nat_path else (),
        unobserved_pair=nat_path.peer_pair if nat_path and second is None else None,
    )


def _is_client(
    one: Socket, other: Socket | None, other_node: str | None, listening: set[tuple[str, str, int | None]]
) -> bool:
    """Whether `one` is the end that sent the SYN: by its states, by who listens, at last by the lower port."""
    for state, verdict in ((TcpState.SYN_SENT, True), (TcpState.SYN_RECV, False)):
        if any(interval.state is state for interval in one.intervals):
            return verdict
        if other is not None and any(interval.state is state for interval in other.intervals):
            return not verdict
    if _listens(one.node, one.local, listening):
        return False
    if other_node is not None and _listens(other_node, one.peer, listening):
        return True
    return (split_address(one.local)[1] or 0) >= (split_address(one.peer)[1] or 0)


def _listens(node: str, address: str, listening: set[tuple[str, str, int | None]]) -> bool:
    host, port = split_address(address)
    return any((node, at, port) in listening for at in (host, *ANY))
