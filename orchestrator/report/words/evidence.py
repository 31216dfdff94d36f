"""Evidence in words: sockets, connections and requests as lines that an engineer reads as he reads `ss`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from orchestrator.recording.closing import Closing, ClosingKind
from orchestrator.recording.evidence import (
    BytesMoved,
    ConnectionCarried,
    ConnectionSeen,
    ConntrackRead,
    CounterRead,
    Evidence,
    Gap,
    OfSocket,
    ReportSeen,
    RequestSeen,
    SegmentSeen,
    SocketBorn,
    SocketSeen,
    SocketsUnobserved,
    StateLasted,
    StatePossible,
)
from orchestrator.recording.verdict import FactVerdict
from orchestrator.report.words.quantities import bounded, seconds
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import at
from orchestrator.text.numbers import number, plural
from orchestrator.text.safe import visible


def lines(fact: FactVerdict) -> tuple[str, ...]:
    """A line for each item, and how many more there are."""
    told = tuple(line(item) for item in fact.evidence)
    return (*told, f"... and {fact.more_evidence} more") if fact.more_evidence else told


def line(item: Evidence) -> str:
    """One item as a line."""
    return _LINES[type(item)](item)


def _ends(item: OfSocket) -> str:
    peer = f"{item.peer_node} " if item.peer_node else ""
    return f"{item.node} {item.local} -> {peer}{item.peer}"


def _socket(item: SocketSeen) -> str:
    """`client 198.18.0.2:41000 -> server 198.18.0.3:8080 CLOSE_WAIT since 5.02s Recv-Q 1 python3/123`."""
    words = [f"{item.node} {item.local}" if item.state is TcpState.LISTEN else _ends(item)]
    if item.state is not None and item.since is not None:
        words.append(f"{item.state} since {at(item.since)}")
    if item.gap is not None:
        words.append(_gap(item.gap))
    words += [f"{name} {size}" for name, size in (("Recv-Q", item.recv_q), ("Send-Q", item.send_q)) if size]
    if item.program:
        words.append(f"{item.program}/{item.pid}")
    return " ".join(words)


def _gap(gap: Gap) -> str:
    """What the samples on both sides of a gap show."""
    return f"{gap.was or 'not there'} at {at(gap.after)}, {gap.became or 'gone'} at {at(gap.before)}"


def _born(item: SocketBorn) -> str:
    return f"{_ends(item)} first seen at {at(item.t)}"


def _lasted(item: StateLasted) -> str:
    return f"{_ends(item)} {item.state} for {bounded(item.least, item.most)} until {at(item.until)}"


def _possible(item: StatePossible) -> str:
    return f"{_ends(item)} perhaps in {item.state} between {at(item.after)} and {at(item.before)}"


def _unobserved(item: SocketsUnobserved) -> str:
    if item.state is not None:
        between = f"between {at(item.after)} and {at(item.before)}"
        return f"{item.node}: an unobserved socket perhaps in {item.state} {between}"
    return (
        f"{item.node}: {plural(item.count, 'socket')} came and went between the samples at {at(item.after)} "
        f"and {at(item.before)}, by the kernel's counters"
    )


def _connection(item: ConnectionSeen) -> str:
    """`client 198.18.0.2:41000 -> server 198.18.0.3:8080 first FIN by server: CLOSE_WAIT seen on client`."""
    through = "".join(f"through {node} " for node in item.via)
    client, server = f"{item.client_node or '?'} {item.client}", f"{item.server_node or '?'} {item.server}"
    told = f"{client} -> {server} {through}{_closed(item.closing)}"
    if item.unobserved_end is not None:
        told += f"; its end on {item.unobserved_end} was counted by the kernel, seen by no sample"
    return told


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


def _request(item: RequestSeen) -> str:
    """`client GET http://server:8080/ 200 at 1.02s, request 2 on 198.18.0.2:41000`."""
    result = f"{item.error}: {item.error_text or ''}".rstrip(": ") if item.error else item.result or "?"
    told = f"{item.node} {item.method or ''} {item.url or ''} {result} at {at(item.t)}"
    if item.local:
        told += f", request {item.nth} on {item.local}" if item.nth else f", on {item.local}"
    if item.took is not None:
        told += f", after {seconds(item.took)}"
    return " ".join(told.split())


def _report(item: ReportSeen) -> str:
    """What a server of ours reported on serving a request or closing a connection."""
    what = f"closed ({item.reason})" if item.what == "closed" else "served"
    detail = f" {item.method or ''} {item.path or ''}".rstrip() if item.what == "served" else ""
    return f"{item.node} {what}{detail} {item.peer or '?'} at {at(item.t)}"


def _segment(item: SegmentSeen) -> str:
    """`server 198.18.0.3:8080 -> 198.18.0.2:41000 RST (TCP_ABORT_ON_DATA) at 1.02s`."""
    what = f"sent again in {item.state}" if item.what == "retransmit" else "RST"
    reason = f" ({item.reason})" if item.reason else ""
    return f"{item.node} {item.local} -> {item.peer} {what}{reason} at {at(item.t)}"


def _counter(item: CounterRead) -> str:
    return f"{item.node} {item.name} {item.first} at {at(item.start)}, {item.last} at {at(item.end)}"


def _carried(item: ConnectionCarried) -> str:
    return f"{item.node} {item.local}: {plural(item.requests, 'request')}"


def _bytes(item: BytesMoved) -> str:
    amount = number(item.least, math.inf if item.most is None else item.most)
    return f"{plural(amount, 'byte')} at {item.node}: {_connection(item.connection)}"


def _conntrack(item: ConntrackRead) -> str:
    """`nat had 3 entries at 1.02s: 2 ESTABLISHED, 1 TIME_WAIT`."""
    states = ", ".join(f"{count} {visible(state)}" for state, count in sorted(item.entries.items()))
    return f"{item.node} had {plural(sum(item.entries.values()), 'entry')} at {at(item.t)}" + (states and f": {states}")


_LINES: dict[type, Callable[[Any], str]] = {
    SocketSeen: _socket,
    SocketBorn: _born,
    StateLasted: _lasted,
    StatePossible: _possible,
    SocketsUnobserved: _unobserved,
    ConnectionSeen: _connection,
    RequestSeen: _request,
    ReportSeen: _report,
    SegmentSeen: _segment,
    CounterRead: _counter,
    ConnectionCarried: _carried,
    BytesMoved: _bytes,
    ConntrackRead: _conntrack,
}
