"""Joins the two ends of each connection, and tells which of them closed first.

Ends belong together when the local address of the one is the peer address of the other and both were born at about
the same time. Ports are used again, so one address pair can be many connections, one after the other: they are paired
in order of birth. Only sockets of one address pair are compared, so the work is near-linear in their number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.recording.addresses import ANY, node_at, split_address
from orchestrator.recording.events import Event
from orchestrator.recording.history import Connection, Socket, Stay
from orchestrator.recording.lifecycle import ACTIVE_CLOSE, EMBRYONIC, PASSIVE_CLOSE
from orchestrator.scenario.facts import TcpState

_OPEN = EMBRYONIC | {TcpState.ESTABLISHED}

_RST_AFTER_CLOSE = 0.001

Pair = tuple[Socket | None, Socket | None]


def birth(socket: Socket) -> tuple[float, float]:
    """The interval in which the socket was born; it starts at -inf for one that was there at the first tick."""
    first = socket.stays[0].first
    before = socket.gaps[0] if socket.gaps and socket.gaps[0].before == first else None
    return (before.after, first) if before else (-math.inf, first)


def death(socket: Socket) -> float:
    """The latest time at which the socket can have ended; inf for one that was there at the last tick."""
    last = socket.stays[-1].last
    after = socket.gaps[-1] if socket.gaps and socket.gaps[-1].after == last else None
    return after.before if after else math.inf


def lasted(socket: Socket, stay: Stay) -> tuple[float, float] | None:
    """Shortest and longest possible duration of a stay, seconds; None when it had not ended at the last tick."""
    after = next((gap for gap in socket.gaps if gap.after == stay.last), None)
    if after is None:
        return None
    before = next((gap for gap in socket.gaps if gap.before == stay.first), None)
    return stay.last - stay.first, after.before - before.after if before else math.inf


def join(
    sockets: Iterable[Socket], addresses: Mapping[str, str], resets: Iterable[Event] | None = None
) -> tuple[Connection, ...]:
    """Every connection of which at least one end was seen, in order of birth. `addresses`: address -> node.

    `resets` are the RST segments that a trace shows, all of them; None: no trace, so a RST that ended a connection is
    not known, and neither is an end that gave up.
    """
    by_pair: dict[frozenset[str], list[Event]] = defaultdict(list)
    for reset in resets or ():
        by_pair[frozenset((reset["local"], reset["peer"]))].append(reset)
    listening: set[tuple[str, str, int | None]] = set()
    ends: dict[frozenset[tuple[str | None, str]], tuple[list[Socket], list[Socket]]] = defaultdict(lambda: ([], []))
    for socket in sockets:
        if socket.stays[0].state is TcpState.LISTEN:
            listening.add((socket.node, *split_address(socket.local)))
            continue
        local = (socket.node, socket.local)
        peer = (node_at(socket.peer, socket.node, addresses), socket.peer)
        # Which side of the pair a socket is on must not depend on which one came first.
        ends[frozenset((local, peer))][_order(local, peer)].append(socket)
    found = [
        _connection(pair, listening, addresses)
        for one_side, other_side in ends.values()
        for pair in _pair_up(sorted(one_side, key=birth), sorted(other_side, key=birth))
    ]
    if resets is not None:
        found = [_given_up(_with_reset(connection, by_pair)) for connection in found]
    return tuple(sorted(found, key=lambda connection: (connection.opened[1], connection.opened[0])))


def _order(local: tuple[str | None, str], peer: tuple[str | None, str]) -> int:
    return int((local[1], local[0] or "") > (peer[1], peer[0] or ""))


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
    early, late = sorted((one, other), key=birth)
    late_from = birth(late)[0]
    if late_from >= death(early):
        return False
    if late_from <= birth(early)[1] or early.stays[-1].last >= late.stays[0].first:
        return True
    waiting = [stay for stay in early.stays if stay.first <= late_from]
    return bool(waiting) and waiting[-1].state in EMBRYONIC


def _apart(one: Socket, other: Socket) -> float:
    """Seconds between two births, by the ticks that first showed them; inf when the two cannot be one connection."""
    return abs(one.stays[0].first - other.stays[0].first) if _can_be_one(one, other) else math.inf


def _connection(pair: Pair, listening: set[tuple[str, str, int | None]], addresses: Mapping[str, str]) -> Connection:
    one, other = pair
    first, second = (one, other) if one is not None else (other, one)
    assert first is not None
    second_node = second.node if second else node_at(first.peer, first.node, addresses)
    flipped = not _is_client(first, second, second_node, listening)
    client, server = (second, first) if flipped else (first, second)
    client_node, server_node = (second_node, first.node) if flipped else (first.node, second_node)
    closer, how = _first_closer(client, server, client_node, server_node)
    return Connection(
        client=client,
        server=server,
        opened=birth(client or first),
        client_node=client_node,
        server_node=server_node,
        first_closer=closer,
        how=how,
        closed=_closed(client, server, closer, client_node),
    )


def _with_reset(connection: Connection, by_pair: Mapping[frozenset[str], Sequence[Event]]) -> Connection:
    """The connection, with a RST as what closed it first when one was sent before any FIN."""
    end = connection.client or connection.server
    if end is None:
        return connection
    fin = connection.closed[1] if connection.closed and connection.first_closer else math.inf
    gone = max(death(one) for one in (connection.client, connection.server) if one is not None)
    for reset in by_pair.get(frozenset((end.local, end.peer)), ()):
        t = float(reset["t"])
        # close() with unread data reports CLOSED first and sends its RST some microseconds later.
        if connection.opened[0] <= t <= min(fin, gone + _RST_AFTER_CLOSE):
            how = f"RST ({reset['reason']})" if reset.get("reason") else "RST"
            return replace(connection, first_closer=reset["node"], how=how, closed=(t, t))
    return connection


def _given_up(connection: Connection) -> Connection:
    """The connection, with what ended it when an end went from an open state to CLOSED and neither FIN nor RST was
    sent: its kernel gave up, after `tcp_retries2` retransmissions or as many keep-alive probes without an answer."""
    if connection.first_closer is not None or connection.closed is None:
        return connection
    ends = [end for end in (connection.client, connection.server) if end is not None and death(end) < math.inf]
    quitters = sorted((end for end in ends if end.stays[-1].state is TcpState.ESTABLISHED), key=death)
    if not quitters:
        return connection
    gone = death(quitters[0])
    node = quitters[0].node
    return replace(connection, how=f"timeout on {node}", closed=(gone, gone), gave_up=node)


def _is_client(
    one: Socket, other: Socket | None, other_node: str | None, listening: set[tuple[str, str, int | None]]
) -> bool:
    """Whether `one` is the end that sent the SYN: by its states, by who listens, at last by the lower port."""
    for state, verdict in ((TcpState.SYN_SENT, True), (TcpState.SYN_RECV, False)):
        if any(stay.state is state for stay in one.stays):
            return verdict
        if other is not None and any(stay.state is state for stay in other.stays):
            return not verdict
    if _listens(one.node, one.local, listening):
        return False
    if other_node is not None and _listens(other_node, one.peer, listening):
        return True
    return (split_address(one.local)[1] or 0) >= (split_address(one.peer)[1] or 0)


def _listens(node: str, address: str, listening: set[tuple[str, str, int | None]]) -> bool:
    host, port = split_address(address)
    return any((node, at, port) in listening for at in (host, *ANY))


def _first_closer(
    client: Socket | None, server: Socket | None, client_node: str | None, server_node: str | None
) -> tuple[str | None, str]:
    """The node that sent the first FIN, and what shows it.

    CLOSE_WAIT and LAST_ACK come only from a FIN that arrived before this end sent its own, so they name the other
    end. FIN_WAIT1, FIN_WAIT2 and TIME_WAIT name this end, unless both ends show such: then their FINs crossed.
    """
    votes: list[tuple[str | None, str]] = []
    for end, node, other_node in ((client, client_node, server_node), (server, server_node, client_node)):
        states = [stay.state for stay in end.stays] if end else []
        if TcpState.CLOSING in states:
            return None, f"both closed at the same time: CLOSING seen on {node}"
        passive = next((state for state in states if state in PASSIVE_CLOSE), None)
        active = next((state for state in states if state in ACTIVE_CLOSE), None)
        if passive:
            votes.append((other_node, f"{passive} seen on {node}"))
        elif active:
            votes.append((node, f"{active} seen on {node}"))
    if not votes:
        return None, "no tick saw it close"
    if len({node for node, _ in votes}) > 1:
        return None, f"both closed at the same time: {' and '.join(how for _, how in votes)}"
    # The passive end's word is the stronger one: no crossing FINs can lead there.
    return min(votes, key=lambda vote: not vote[1].startswith(tuple(PASSIVE_CLOSE)))


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
    opened = [stay for stay in socket.stays if stay.state in _OPEN]
    if not opened:
        return birth(socket)
    last = opened[-1].last
    gap = next((gap for gap in socket.gaps if gap.after == last), None)
    return (gap.after, gap.before) if gap else None
