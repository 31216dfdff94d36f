"""Counters: what happened inside a window, by the sockets, by what programs reported, by the kernel's own counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from orchestrator.history.index import Filter, Index
from orchestrator.history.lifetimes import birth
from orchestrator.history.model import Closing, ClosingKind, Connection, Socket
from orchestrator.judge.evidence import (
    capped,
    connection_line,
    ends,
    report_line,
    request_line,
    segment_line,
    unobserved_line,
)
from orchestrator.judge.tally import Inside, Tally, add, unknown
from orchestrator.recording.events import Event, answered
from orchestrator.tcp.addresses import node_at
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import at
from orchestrator.text.numbers import plural

_KERNEL = {"resets": "OutRsts", "retransmits": "RetransSegs"}
"""Where a trace does not tell of each segment: the counter."""

_SEGMENTS = "segments of the kernel's trace"
_HANDSHAKE_ONLY = EMBRYONIC | {TcpState.CLOSED, TcpState.LISTEN}

NOUNS = {
    "connections": "connection",
    "requests": "request",
    "errors": "error",
    "statuses": "response",
    "served": "request",
    "closed_by": "connection",
    "first_fin": "connection",
    "resets": "segment",
    "retransmits": "segment",
}
"""What each counter counts."""


def count(index: Index, nodes: Iterable[str], fact: str, name: str | None, inside: Inside, where: Filter) -> Tally:
    """The counter `fact` over the nodes. `name`: of the error, the status, or the server's reason for closing."""
    return add([_unwatched(index, node, inside, _count(index, node, fact, name, inside, where)) for node in nodes])


def _count(index: Index, node: str, fact: str, name: str | None, inside: Inside, where: Filter) -> Tally:
    match fact:
        case "connections":
            return _connections(index, node, inside, where)
        case "first_fin":
            return _first_fin(index, node, inside, where)
        case "requests":
            return _requests(index, node, inside, where, lambda event: True)
        case "errors":
            return _requests(index, node, inside, where, lambda event: _failed(event, name))
        case "statuses":
            return _requests(index, node, inside, where, lambda event: answered(event) == name)
        case "served":
            return _reports(index, node, index.history.served, inside, where)
        case "closed_by":
            events = [event for event in index.history.closed if event["reason"] == name]
            return _reports(index, node, events, inside, where)
        case "resets" if index.history.exact:
            return _events(node, index.history.resets, inside, where, segment_line, _SEGMENTS)
        case "resets" if _answers_for_others(index, node):
            return unknown(f"{node} answers for others by its packet filter, and no counter tells of that")
        case "retransmits" if node in index.history.retransmits:
            return _events(node, index.history.retransmits[node], inside, where, segment_line, _SEGMENTS)
        case _:
            return _kernel(index, node, _KERNEL[fact], inside, where)


def _answers_for_others(index: Index, node: str) -> bool:
    """Whether connections pass through the node whose client does not call the node itself."""
    flows = (flow for connection in index.through.get(node, ()) for flow in connection.via if flow.node == node)
    return any(node_at(flow.original[1], node, index.history.addresses) != node for flow in flows)


def _unwatched(index: Index, node: str, inside: Inside, tally: Tally) -> Tally:
    """What happened outside of the time in which the node was sampled is not known: it can only add."""
    observed = index.observed([node])
    if observed is None:
        return unknown(f"{node} was never sampled")
    first, last = observed
    if inside.start >= first and inside.end <= last:
        return tally
    doubt = f"the window {at(inside.start)} .. {at(inside.end)} reaches beyond the samples, {at(first)} .. {at(last)}"
    return Tally(tally.least, math.inf, doubt, tally.evidence)


class _Sum:
    """Adds up what surely and what perhaps lies inside a window, with a line of evidence for each."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._least = 0
        self._most = 0
        self._sure: list[str] = []
        self._perhaps: list[str] = []

    def add(self, after: float, before: float, least: int, most: int, line: Callable[[], str]) -> None:
        """Between `least` and `most` of something happened in the interval from `after` to `before`."""
        if not self._inside.perhaps(after, before) or not most:
            return
        sure = least if self._inside.surely(after, before) else 0
        self._least += sure
        self._most += most
        lines = self._sure if sure else self._perhaps
        lines.append(line() if len(lines) <= 10 else "")

    def tally(self, noun: str) -> Tally:
        doubt = ""
        if self._most > self._least:
            doubt = f"{plural(self._most - self._least, noun)} may or may not count: the samples do not tell"
        # What is in doubt is what a reader must look at.
        return Tally(self._least, self._most, doubt, capped(self._perhaps + self._sure))


def _connections(index: Index, node: str, inside: Inside, where: Filter) -> Tally:
    """Connections that got ESTABLISHED, by the birth of their socket on the node."""
    total = _Sum(inside)
    half_observed = index.half_observed(node)
    ends_of_these = {id(end) for connection in half_observed for end in (connection.client, connection.server)}
    for socket in index.sockets.get(node, ()):
        if socket.intervals[-1].state is TcpState.SYN_RECV and id(socket) in ends_of_these:
            continue  # its connection is counted below, as one
        least, most = _became_connection(socket)
        least = max(least, int(id(socket) in index.answered))
        matches = where.socket(socket)
        if matches is not False:
            total.add(*birth(socket), least if matches else 0, most, partial(_born_line, index, socket))
    for connection in half_observed:
        matches = _matches(where, connection, node)
        if matches is not False:
            total.add(*connection.opened, int(matches is True), 1, partial(_half_seen_line, connection, node))
    for entry in index.wholly_unobserved(node):
        least = entry.least if where.everything else 0
        total.add(entry.after, entry.before, least, entry.most, partial(unobserved_line, entry))
    return total.tally("connection")


def _born_line(index: Index, socket: Socket) -> str:
    return f"{ends(index, socket)} first seen at {at(socket.intervals[0].first)}"


def _half_seen_line(connection: Connection, node: str) -> str:
    return f"{connection_line(connection)}; its end on {node} was counted by the kernel, seen by no sample"


def _became_connection(socket: Socket) -> tuple[int, int]:
    """(1, 1) when it was surely ESTABLISHED once, (0, 1) when only a gap could hide that, (0, 0) when never."""
    if any(interval.state not in _HANDSHAKE_ONLY for interval in socket.intervals):
        return 1, 1
    return 0, int(any(gap.states - _HANDSHAKE_ONLY for gap in socket.unknown))


def _first_fin(index: Index, node: str, inside: Inside, where: Filter) -> Tally:
    """Connections of which the node sent the first FIN. One that is still open does not count."""
    total = _Sum(inside)
    for connection in index.through.get(node, ()):
        if connection.closed is not None and connection.closing.first_closer == node:
            far, near = connection.client_pair
            matches = where.match(near, far, None)
            if matches is not False:
                total.add(*connection.closed, int(matches is True), 1, partial(connection_line, connection))
    for connection in index.connections.get(node, ()):
        closing = connection.closing
        if connection.closed is None or not _may_be_first(closing, node):
            continue
        if closing.kind is ClosingKind.RST and not connection.established:
            continue  # there was no connection yet, only a SYN that was refused
        matches = _matches(where, connection, node)
        if matches is not False:
            sure = int(matches is True and closing.first_closer == node)
            total.add(*connection.closed, sure, 1, partial(connection_line, connection))
    for entry in index.wholly_unobserved(node):
        total.add(entry.after, entry.before, 0, entry.most, partial(unobserved_line, entry))
    return total.tally("connection")


def _may_be_first(closing: Closing, node: str) -> bool:
    """Whether the node sent the first FIN or RST, or may have, as far as the recording shows."""
    if closing.kind in (ClosingKind.FIN, ClosingKind.RST):
        return closing.by == node
    return closing.kind in (ClosingKind.SIMULTANEOUS, ClosingKind.UNKNOWN)


def _matches(where: Filter, connection: Connection, node: str) -> bool | None:
    """Whether the filter matches the connection's end on the node, also when that end was unseen."""
    own, pair = connection.client, connection.client_pair
    if connection.client_node != node:
        own, pair = connection.server, connection.server_pair
    return where.socket(own) if own is not None else where.match(*pair, None)


def _requests(index: Index, node: str, inside: Inside, where: Filter, wanted: Callable[[Event], bool]) -> Tally:
    """Requests by the time at which they ended."""
    if node not in index.history.asking:
        return unknown(f"{node} does not report its requests")
    events = [event for event in index.history.requests if wanted(event)]
    return _events(node, events, inside, where, request_line, f"what the program of {node} reports")


def _failed(event: Event, name: str | None) -> bool:
    error = event.get("error")
    return error is not None and (name is None or error["name"] == name)


def _reports(index: Index, node: str, events: Iterable[Event], inside: Inside, where: Filter) -> Tally:
    if node not in index.history.speaking:
        return unknown(f"{node} does not report what it served and closed")
    return _events(node, events, inside, where, report_line, f"what the program of {node} reports")


def _events(
    node: str, events: Iterable[Event], inside: Inside, where: Filter, line: Callable[[Event], str], what: str
) -> Tally:
    if where.by_owner:
        return unknown(f"{what} cannot be filtered by `owner`")
    least = most = 0
    lines: list[str] = []
    for event in events:
        if event["node"] != node or not inside.at(event["t"]):
            continue
        matches = where.match(event.get("local"), event.get("peer"), None)
        if matches is not False:
            least += matches is True
            most += 1
            lines.append(line(event) if len(lines) <= 10 else "")
    doubt = "some have no address that `where` could be compared with" if most > least else ""
    return Tally(least, most, doubt, capped(lines))


def _kernel(index: Index, node: str, name: str, inside: Inside, where: Filter) -> Tally:
    """The rise of a kernel counter. Between two ticks its value lies between the two readings."""
    if not where.everything:
        return unknown(f"{name} is one number for the whole node: it cannot be filtered by `where`")
    start, end = _reading(index, node, name, inside.start), _reading(index, node, name, inside.end)
    if start is None or end is None:
        return unknown(f"the counter {name} of {node} was not read")
    least, most = max(0, end[0] - start[1]), max(0, end[1] - start[0])
    doubt = "" if least == most else f"{name} was not read at {at(inside.start)} and {at(inside.end)} themselves"
    return Tally(least, most, doubt, (f"{node} {name} {start[0]} at {at(inside.start)}, {end[1]} at {at(inside.end)}",))


def _reading(index: Index, node: str, name: str, t: float) -> tuple[int, int] | None:
    """The counter at `t`, at least and at most; None when it was never read."""
    ticks = index.ticks(node)
    if not ticks.times:
        return None
    # Outside of the samples the nearest reading stands for the part of the window inside them.
    t = min(max(t, ticks.times[0]), ticks.times[-1])
    upper = ticks.from_(t)
    lower = t if upper == t else ticks.before(t)
    assert upper is not None and lower is not None
    least, most = index.counters.at(node, name, lower), index.counters.at(node, name, upper)
    return None if least is None or most is None else (least, most)
