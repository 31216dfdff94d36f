"""Evidence: sockets, connections and requests as lines that an engineer reads as he reads `ss`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.history.index import Index, queue_at, situation
from orchestrator.history.model import (
    Closing,
    ClosingKind,
    Connection,
    Socket,
    StateInterval,
    UnknownInterval,
    Unobserved,
)
from orchestrator.recording.events import Event, answered
from orchestrator.tcp.addresses import node_at
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import at
from orchestrator.text.numbers import plural

LIMIT = 10
"""Lines that one fact shows."""


def capped(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    more = len(lines) - LIMIT
    return (*lines[:LIMIT], f"... and {more} more") if more > 0 else tuple(lines)


def socket_line(index: Index, socket: Socket, t: float) -> str:
    """`client 198.18.0.2:41000 -> server 198.18.0.3:8080 CLOSE_WAIT since 5.02s Recv-Q 1 python3/123`."""
    known = situation(socket, t)
    text = ends(index, socket)
    if isinstance(known, StateInterval):
        text += f" {known.state} since {at(known.first)}"
        text += _queues(socket, t)
    elif isinstance(known, UnknownInterval):
        text += f" {_gap(socket, known)}"
    return text + (f" {socket.comm}/{socket.pid}" if socket.comm else "")


def ends(index: Index, socket: Socket) -> str:
    """The two addresses with their nodes; of a listening socket, its own alone."""
    if socket.intervals[0].state is TcpState.LISTEN:
        return f"{socket.node} {socket.local}"
    peer = node_at(socket.peer, socket.node, index.history.addresses)
    return f"{socket.node} {socket.local} -> {f'{peer} ' if peer else ''}{socket.peer}"


def _queues(socket: Socket, t: float) -> str:
    reading = queue_at(socket, t)
    if reading is None:
        return ""
    recv = f" Recv-Q {reading.recv_q}" if reading.recv_q else ""
    return recv + (f" Send-Q {reading.send_q}" if reading.send_q else "")


def _gap(socket: Socket, gap: UnknownInterval) -> str:
    """What the samples on both sides of a gap show."""
    before = next((interval.state.value for interval in socket.intervals if interval.last == gap.after), "not there")
    after = next((interval.state.value for interval in socket.intervals if interval.first == gap.before), "gone")
    return f"{before} at {at(gap.after)}, {after} at {at(gap.before)}"


def unobserved_line(entry: Unobserved) -> str:
    return (
        f"{entry.node}: {plural(entry.count, 'socket')} came and went between the samples at {at(entry.after)} "
        f"and {at(entry.before)}, by the kernel's counters"
    )


def connection_line(connection: Connection) -> str:
    """`client 198.18.0.2:41000 -> server 198.18.0.3:8080 first FIN by server: CLOSE_WAIT seen on client`."""
    client, server = connection.client_pair[0], connection.server_pair[0]
    through = "".join(f"through {flow.node} " for flow in connection.via)
    names = (connection.client_node or "?", connection.server_node or "?")
    return f"{names[0]} {client} -> {names[1]} {server} {through}{_closed(connection.closing)}"


def _closed(closing: Closing) -> str:
    shown = shown_by(closing)
    match closing.kind:
        case ClosingKind.OPEN:
            return "still open"
        case ClosingKind.TIMEOUT:
            return f"neither FIN nor RST: {shown}"
        case ClosingKind.RST:
            return f"{shown} by {closing.by}"
        case ClosingKind.FIN if closing.by:
            return f"first FIN by {closing.by}" + ("" if closing.traced else f": {shown}")
    return f"first FIN unknown: {shown}"


def shown_by(closing: Closing) -> str:
    """How a connection was closed, or by which observation that is known: `FIN`, `RST (TCP_ABORT_ON_DATA)`, `timeout
    on client`; from samples `CLOSE_WAIT seen on client`; empty while it is open."""
    seen = " and ".join(f"{witness.state or witness.error} seen on {witness.node}" for witness in closing.witnesses)
    match closing.kind:
        case ClosingKind.OPEN:
            return ""
        case ClosingKind.TIMEOUT:
            return f"timeout on {closing.by}"
        case ClosingKind.RST if not closing.traced:
            return f"RST: {seen}"
        case ClosingKind.RST:
            return f"RST ({closing.reason})" if closing.reason else "RST"
        case ClosingKind.SIMULTANEOUS:
            return f"both closed at the same time: {seen}"
        case ClosingKind.FIN if closing.traced:
            return "FIN"
        case ClosingKind.FIN:
            return f"{seen}, {closing.by} first" if len(closing.witnesses) > 1 else seen
    return "no tick saw it close"


def request_line(event: Event) -> str:
    """`client GET http://server:8080/ 200 at 1.02s, request 2 on 198.18.0.2:41000`."""
    error = event.get("error")
    result = f"{error['name']}: {error.get('text') or ''}".rstrip(": ") if error else answered(event) or "?"
    text = f"{event['node']} {event.get('method') or ''} {event.get('url') or ''} {result} at {at(event['t'])}"
    if event.get("local"):
        text += f", request {event.get('nth') or '?'} on {event['local']}"
    return " ".join(text.split())


def report_line(event: Event) -> str:
    """What a server of ours said on serving a request or closing a connection."""
    what = f"closed ({event['reason']})" if event["ev"] == "closed" else "served"
    detail = f" {event.get('method') or ''} {event.get('path') or ''}".rstrip() if event["ev"] == "served" else ""
    return f"{event['node']} {what}{detail} {event.get('peer') or '?'} at {at(event['t'])}"


def segment_line(event: Event) -> str:
    """`server 198.18.0.3:8080 -> 198.18.0.2:41000 RST (TCP_ABORT_ON_DATA) at 1.02s`."""
    what = f"sent again in {event['state']}" if event["ev"] == "retransmit" else "RST"
    reason = f" ({event['reason']})" if event.get("reason") else ""
    return f"{event['node']} {event['local']} -> {event['peer']} {what}{reason} at {at(event['t'])}"


def socket_lines(index: Index, sockets: Iterable[Socket], t: float) -> tuple[str, ...]:
    chosen = list(sockets)
    lines = [socket_line(index, socket, t) for socket in chosen[:LIMIT]]
    return (*lines, f"... and {len(chosen) - LIMIT} more") if len(chosen) > LIMIT else tuple(lines)
