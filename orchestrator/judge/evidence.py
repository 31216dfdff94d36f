"""Evidence: what the history has of sockets, connections, requests and segments, as items of a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from orchestrator.history.index import Index, orphaned_at, queue_at, situation
from orchestrator.history.lifetimes import up
from orchestrator.history.model import Connection, Socket, StateInterval, UnknownInterval, Unobserved
from orchestrator.recording import evidence as seen
from orchestrator.recording.events import Event, answered
from orchestrator.tcp.addresses import node_at
from orchestrator.tcp.states import TcpState

LIMIT = 10
"""Items that one fact shows."""


class Shown(NamedTuple):
    """The items that a fact shows, and how many more there are."""

    items: tuple[seen.Evidence, ...] = ()
    more: int = 0


NOTHING = Shown()


def capped(items: Sequence[seen.Evidence]) -> Shown:
    """The first items, and how many more there are."""
    return Shown(tuple(items[:LIMIT]), max(0, len(items) - LIMIT))


def sockets_seen(index: Index, sockets: Sequence[Socket], t: float) -> Shown:
    """The first sockets as they were at `t`, and how many more there are."""
    first = islice(sockets, LIMIT)
    return Shown(tuple(socket_seen(index, socket, t) for socket in first), max(0, len(sockets) - LIMIT))


def socket_seen(index: Index, socket: Socket, t: float) -> seen.SocketSeen:
    """The socket as it was at `t`."""
    known = situation(socket, t)
    in_state = isinstance(known, StateInterval)
    reading = queue_at(socket, t) if in_state else None
    return seen.SocketSeen(
        node=socket.node,
        sk=socket.sk,
        local=socket.local,
        peer=socket.peer,
        peer_node=peer_node(index, socket),
        state=known.state if isinstance(known, StateInterval) else None,
        since=known.first if isinstance(known, StateInterval) else None,
        gap=_gap(socket, known) if isinstance(known, UnknownInterval) else None,
        recv_q=None if reading is None else reading.recv_q,
        send_q=None if reading is None else reading.send_q,
        orphaned=orphaned_at(socket, t),
        pid=socket.pid,
        program=socket.comm,
    )


def peer_node(index: Index, socket: Socket) -> str | None:
    """The node at the other end; None for an address of no node, and for a socket that listens."""
    if socket.intervals[0].state is TcpState.LISTEN:
        return None
    return node_at(socket.peer, socket.node, index.history.addresses_at(up(socket)))


def _gap(socket: Socket, gap: UnknownInterval) -> seen.Gap:
    """What the samples on both sides of a gap show."""
    was = next((interval.state for interval in socket.intervals if interval.last == gap.after), None)
    became = next((interval.state for interval in socket.intervals if interval.first == gap.before), None)
    return seen.Gap(gap.after, gap.before, was, became)


def socket_born(index: Index, socket: Socket) -> seen.SocketBorn:
    return seen.SocketBorn(
        node=socket.node,
        sk=socket.sk,
        local=socket.local,
        peer=socket.peer,
        peer_node=peer_node(index, socket),
        t=socket.intervals[0].first,
    )


def unobserved(entry: Unobserved) -> seen.SocketsUnobserved:
    return seen.SocketsUnobserved(node=entry.node, count=entry.count, after=entry.after, before=entry.before)


def connection_seen(connection: Connection, *, unobserved_end: str | None = None) -> seen.ConnectionSeen:
    """`unobserved_end`: the node whose end no sample showed."""
    return seen.ConnectionSeen(
        client_node=connection.client_node,
        client=connection.client_pair[0],
        client_sk=None if connection.client is None else connection.client.sk,
        server_node=connection.server_node,
        server=connection.server_pair[0],
        server_sk=None if connection.server is None else connection.server.sk,
        via=tuple(flow.node for flow in connection.via),
        closing=connection.closing,
        unobserved_end=unobserved_end,
    )


def request_seen(event: Event, *, took: float | None = None) -> seen.RequestSeen:
    """What a client reported of a request, or of an exchange of a step `raw`. `took`: seconds, where that is what is
    asked."""
    error = event.get("error") or {}
    raw = event["ev"] == "raw"
    return seen.RequestSeen(
        node=event["node"],
        t=event["t"],
        step=_text(event.get("step")),
        method="raw" if raw else _text(event.get("method")),
        url=_text(event.get("url")),
        result=f"{event['done']} of {event['actions']} actions" if raw else answered(event) or None,
        error=_text(error.get("name")),
        error_text=_text(error.get("text")),
        local=event.get("local"),
        peer=event.get("peer"),
        nth=event.get("nth"),
        took=took,
    )


def report_seen(event: Event) -> seen.ReportSeen:
    """What a server of ours reported on serving a request or closing a connection."""
    closed = event["ev"] == "closed"
    return seen.ReportSeen(
        node=event["node"],
        t=event["t"],
        what="closed" if closed else "served",
        reason=_text(event["reason"]) if closed else None,
        method=None if closed else _text(event.get("method")),
        path=None if closed else _text(event.get("path")),
        local=event.get("local"),
        peer=event.get("peer"),
    )


def segment_seen(event: Event) -> seen.SegmentSeen:
    """A segment of the kernel's trace."""
    again = event["ev"] == "retransmit"
    return seen.SegmentSeen(
        node=event["node"],
        t=event["t"],
        what="retransmit" if again else "rst",
        state=event["state"] if again else None,
        reason=_text(event.get("reason")),
        local=event["local"],
        peer=event["peer"],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def joined(parts: Iterable[Shown]) -> Shown:
    """All that several nodes of a service show."""
    parts = list(parts)
    shown = capped([item for part in parts for item in part.items])
    return Shown(shown.items, shown.more + sum(part.more for part in parts))
