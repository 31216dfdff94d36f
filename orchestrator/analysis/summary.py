"""The story of a run in sentences: who closed first, where TIME_WAIT landed, what the clients got.

    3 connections client -> server:8080: client closed first; TIME_WAIT on client
    6 requests by client: 5 answered 200, 1 failed with RemoteDisconnected

Alike connections share a sentence, and replicas of one service share it too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.states import possible_states
from orchestrator.history.lifetimes import death
from orchestrator.history.model import Closing, ClosingKind, Connection, History, MinisocketEnd, Socket
from orchestrator.history.nat import forgot
from orchestrator.history.unobservedends import unobserved_ends
from orchestrator.recording.events import Event, answered
from orchestrator.tcp.addresses import split_address
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState
from orchestrator.text.numbers import plural

_OWN_REASONS = ("idle", "limit", "request", "shutdown", "unannounced", "unanswered", "unread")
"""Reasons of a server that closes of its own accord (nodes/README.md); the others follow what the client did."""

_CUT_SHORT = {
    MinisocketEnd.RESET: "killed by a RST",
    MinisocketEnd.REUSED: "taken over by a new connection",
}

Reasons = Mapping[tuple[str, str, str], Sequence[Event]]

_NOT_OVER = frozenset(TcpState) - EMBRYONIC - {TcpState.TIME_WAIT, TcpState.CLOSED}


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """What a reader wants to know of one connection; alike connections have equal fates."""

    client: str
    server: str
    port: int | None
    first_closer: str | None
    by: str
    """`FIN` or `RST`, where the kernel's trace tells; then the closing server's own reason, where it is one of ours."""
    at_once: bool
    """Both ends closed at the same time."""
    gave_up: str | None
    """The node whose kernel gave up, for want of an answer."""
    established: bool
    open: bool
    """Both ends were still ESTABLISHED at the end."""
    time_wait: tuple[str, ...]
    """Nodes on which TIME_WAIT was seen, client first."""
    cut_short: tuple[tuple[MinisocketEnd, str], ...]
    """What ended a TIME_WAIT before its time, with its node, client first."""
    stuck: tuple[tuple[TcpState, str], ...]
    """States of ends that had not closed at the end, with their nodes, client first."""
    via: tuple[str, ...]
    """The NATs in between, as seen from the client."""
    forgotten: tuple[str, ...]
    """Those that had forgotten it before an end closed it."""

    def renamed(self, name: Callable[[str], str]) -> ConnectionSummary:
        return replace(
            self,
            client=name(self.client),
            server=name(self.server),
            first_closer=self.first_closer and name(self.first_closer),
            gave_up=self.gave_up and name(self.gave_up),
            time_wait=tuple(map(name, self.time_wait)),
            cut_short=tuple((how, name(node)) for how, node in self.cut_short),
            stuck=tuple((state, name(node)) for state, node in self.stuck),
            via=tuple(map(name, self.via)),
            forgotten=tuple(map(name, self.forgotten)),
        )

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        through = "".join(f" through {node}" for node in self.via)
        return f"{self.client} -> {self.server}{port}{through}: {self.outcome}"

    @property
    def outcome(self) -> str:
        """Who closed first, and what that left behind."""
        if not self.established:
            if self.gave_up:
                return f"never established: {self.gave_up} gave up, no answer came"
            refused = self.first_closer and self.by.startswith("RST")
            return f"refused with a RST by {self.first_closer}" if refused else "never seen established"
        forgotten = [f"{node} had forgotten it" for node in self.forgotten]
        if self.open:
            return "; ".join([*forgotten, "still open at the end"])
        parts = [*forgotten, self._who]
        if self.time_wait:
            cut = "".join(f", {_CUT_SHORT[how]}" for how in dict.fromkeys(how for how, _ in self.cut_short))
            parts.append(f"TIME_WAIT on {' and '.join(self.time_wait)}{cut}")
        if self.stuck:
            parts.append("at the end still " + ", ".join(f"{state} on {node}" for state, node in self.stuck))
        if self.first_closer and not self.time_wait and not self.stuck:
            parts.append("no TIME_WAIT seen")
        return "; ".join(parts)

    @property
    def _who(self) -> str:
        if self.first_closer:
            return f"{self.first_closer} closed first" + (f" ({self.by})" if self.by else "")
        if self.gave_up:
            return f"{self.gave_up} gave up, after a timeout"
        return "both closed at the same time" if self.at_once else "the samples do not show who closed first"


@dataclass(frozen=True, slots=True)
class Group:
    """Connections of one fate. `closings` say what shows who closed first, without their times, with how many each
    shows."""

    summary: ConnectionSummary
    count: int
    closings: Counter[Closing]

    def __str__(self) -> str:
        return f"{plural(self.count, 'connection')} {self.summary}"


def services(history: History) -> dict[str, str]:
    """Node -> service, for the replicas of a service."""
    return {node: name for name, replicas in history.groups.items() if len(replicas) > 1 for node in replicas}


def summaries(history: History) -> list[ConnectionSummary]:
    """Of each connection, in the history's order; replicas go by their service's name."""
    service, reasons = services(history), _reasons(history)
    return [
        _summary(connection, history, reasons).renamed(lambda node: service.get(node, node))
        for connection in history.connections
    ]


def connection_groups(history: History) -> list[Group]:
    """Connections grouped by their fate, the oldest first."""
    service = services(history)
    reasons = _reasons(history)
    alike: dict[ConnectionSummary, list[tuple[ConnectionSummary, Closing]]] = defaultdict(list)
    for connection in sorted(history.connections, key=lambda connection: connection.opened):
        summary = _summary(connection, history, reasons)
        alike[summary.renamed(lambda node: service.get(node, node))].append(
            (summary, replace(connection.closing, at=None))
        )
    return [_group(members, service) for members in alike.values()]


def _group(members: list[tuple[ConnectionSummary, Closing]], service: dict[str, str]) -> Group:
    """A replica that is alone in its group keeps its own name."""
    taking_part: dict[str, set[str]] = defaultdict(set)
    for summary, _ in members:
        for node in (summary.client, summary.server):
            taking_part[service.get(node, node)].add(node)

    def name(node: str) -> str:
        of = service.get(node, node)
        return of if len(taking_part[of]) > 1 else node

    closings = Counter(closing for _, closing in members if closing.kind is not ClosingKind.OPEN)
    return Group(members[0][0].renamed(name), len(members), closings)


def _by(connection: Connection, history: History, reasons: Reasons) -> str:
    """How and why the first closer closed, as far as it is known: `FIN, idle`."""
    closing = connection.closing
    how = "RST" if closing.kind is ClosingKind.RST and closing.traced else "FIN" if history.exact else ""
    end = connection.server if closing.first_closer == connection.server_node else connection.client
    told = reasons.get((end.node, end.local, end.peer), ()) if end is not None and connection.closed else ()
    near = min(told, key=lambda event: abs(float(event["t"]) - _closed_at(connection)), default=None)
    why = str(near["reason"]) if near is not None and near["reason"] in _OWN_REASONS else ""
    return ", ".join(part for part in (how, why) if part)


def _closed_at(connection: Connection) -> float:
    return connection.closed[1] if connection.closed else 0.0


def _reasons(history: History) -> Reasons:
    """(node, local, peer) -> what that server said on closing, of all connections of that address pair."""
    found: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in history.closed:
        found[event["node"], str(event.get("local")), str(event.get("peer"))].append(event)
    return found


def _summary(connection: Connection, history: History, reasons: Reasons) -> ConnectionSummary:
    client, server, port = _ends(connection)
    end = history.until
    sockets = connection.ends
    at_end = [(_state_at(socket, end), socket.node) for socket in sockets]
    # What closes after the end is the lab being taken down.
    closing = connection.closed_by(end)
    return ConnectionSummary(
        client=client,
        server=server,
        port=port,
        first_closer=closing.first_closer,
        by=_by(connection, history, reasons),
        at_once=closing.kind is ClosingKind.SIMULTANEOUS,
        gave_up=closing.gave_up,
        established=connection.established,
        open=closing.kind is ClosingKind.OPEN and all(state is TcpState.ESTABLISHED for state, _ in at_end),
        time_wait=tuple(
            socket.node
            for socket in sockets
            if any(interval.state is TcpState.TIME_WAIT and interval.first <= end for interval in socket.intervals)
        ),
        cut_short=tuple(
            (socket.ended_by, socket.node)
            for socket in sockets
            if socket.ended_by in _CUT_SHORT
            and socket.intervals[-1].state is TcpState.TIME_WAIT
            and death(socket) <= end
        ),
        stuck=tuple((state, node) for state, node in at_end if state in _NOT_OVER),
        via=tuple(flow.node for flow in connection.via),
        forgotten=tuple(flow.node for flow in connection.via if forgot(flow, connection)),
    )


def _ends(connection: Connection) -> tuple[str, str, int | None]:
    """Client, server and the server's port; an end that belongs to no node is named by its address."""
    client, _ = split_address(connection.client_pair[0])
    server, port = split_address(connection.server_pair[0])
    return connection.client_node or client, connection.server_node or server, port


def _state_at(socket: Socket, t: float) -> TcpState:
    """CLOSED when it was gone or its state is not known."""
    states = possible_states(socket, t)
    return next(iter(states)) if len(states) == 1 else TcpState.CLOSED


def unobserved_sentences(history: History) -> list[str]:
    """What the kernel counted and no sample showed, ends of connections that are told of elsewhere left out."""
    _, left = unobserved_ends(history.connections, history.unobserved)
    end = history.until
    per_node: Counter[str] = Counter()
    for unobserved in left:
        if unobserved.after < end:
            per_node[unobserved.node] += unobserved.count
    return [
        f"up to {plural(count, 'more socket')} on {node} came and went between two samples"
        for node, count in per_node.items()
    ]


@dataclass(frozen=True, slots=True)
class Requests:
    """What one client got: HTTP status, or a data store's answer -> how many; error name -> how many."""

    answered: Counter[str]
    errors: Counter[str]

    @property
    def count(self) -> int:
        return self.answered.total() + self.errors.total()

    def __str__(self) -> str:
        parts = [f"{count} answered {status}" for status, count in sorted(self.answered.items())]
        parts += [f"{count} failed with {name}" for name, count in self.errors.most_common()]
        return parts[0].replace(str(self.count), "all", 1) if len(parts) == 1 < self.count else ", ".join(parts)


def requests_by_node(history: History) -> dict[str, Requests]:
    """Client node -> what its requests came to, in the order of their first requests."""
    return _requests(history.requests, lambda node: node)


def request_sentences(history: History) -> list[str]:
    service = services(history)
    per_client = _requests(history.requests, lambda node: service.get(node, node))
    return [f"{plural(got.count, 'request')} by {client}: {got}" for client, got in per_client.items()]


def _requests(events: Iterable[Event], name: Callable[[str], str]) -> dict[str, Requests]:
    found: dict[str, Requests] = {}
    for event in events:
        got = found.setdefault(name(str(event.get("node", "?"))), Requests(Counter(), Counter()))
        if error := event.get("error"):
            got.errors[error_name(error)] += 1
        else:
            got.answered[answered(event) or "?"] += 1
    return found


def error_name(error: object) -> str:
    """The name in a request's `error`, which is `{name, text}` (nodes/README.md)."""
    return str(error.get("name", "error")) if isinstance(error, dict) else str(error)


def sentences(history: History) -> list[str]:
    """The whole story, the most telling first."""
    return [*map(str, connection_groups(history)), *unobserved_sentences(history), *request_sentences(history)]
