"""What became of each connection: who closed it first, where TIME_WAIT landed, what is left; alike ones grouped.

Replicas of one service go by its name. report/words.py says it in sentences.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.analysis.services import services
from orchestrator.analysis.silence import silence
from orchestrator.analysis.timers import Timer, Timers, fitting, timers_of
from orchestrator.history.index import never_ends, situation
from orchestrator.history.lifetimes import death
from orchestrator.history.model import (
    Closing,
    ClosingKind,
    Connection,
    History,
    MinisocketEnd,
    Side,
    Socket,
    StateInterval,
)
from orchestrator.history.nat import expired
from orchestrator.history.unobservedends import unobserved_ends
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import split_address
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_OWN_REASONS = ("idle", "limit", "request", "shutdown", "unannounced", "unanswered", "unread")
"""Reasons of a server that closes of its own accord (nodes/README.md); the others follow what the client did."""

_CUT_SHORT = (MinisocketEnd.RESET, MinisocketEnd.REUSED)

Reasons = Mapping[tuple[str, str, str], Sequence[Event]]

_NOT_OVER = frozenset(TcpState) - EMBRYONIC - {TcpState.TIME_WAIT, TcpState.CLOSED}


@record
class ConnectionSummary:
    """What a reader wants to know of one connection; alike connections have equal ones."""

    client: str
    server: str
    port: int | None
    kind: ClosingKind
    """How it had been closed by the end of the run."""
    first_closer: str | None
    """The node that sent the first FIN or RST, where the recording shows it."""
    traced: bool
    """Whether the kernel's trace shows that `kind` was the first."""
    reason: str
    """The closing server's own reason (`idle`), where it is one of ours and closed of its own accord."""
    timer: Timer | None
    """The first closer's timer that fits how long the connection had been silent; None where it says its reason itself,
    or none fits. `unanswered`: that was a wait for an answer, and no idleness."""
    unanswered: bool
    lost: bool
    """Whether a FIN was sent first and did not arrive."""
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
    endless: tuple[str, ...]
    """Nodes of which a sample shows that the end in FIN_WAIT2 has an owner and no timer."""
    via: tuple[str, ...]
    """The NATs in between, as seen from the client."""
    expired: tuple[str, ...]
    """Those whose entry of it expired before an end closed it."""

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
            endless=tuple(map(name, self.endless)),
            timer=self.timer and replace(self.timer, node=name(self.timer.node)),
            via=tuple(map(name, self.via)),
            expired=tuple(map(name, self.expired)),
        )


@record
class Group:
    """Connections with the same summary. `closings`: what shows who closed first, without times -> connections."""

    summary: ConnectionSummary
    count: int
    closings: Counter[Closing]


def summaries(history: History) -> list[ConnectionSummary]:
    """Of each connection, in the history's order; replicas go by their service's name."""
    service, reasons, timers = services(history), _reasons(history), timers_of(history)
    return [
        _summary(connection, history, reasons, timers).renamed(lambda node: service.get(node, node))
        for connection in history.connections
    ]


def connection_groups(history: History) -> list[Group]:
    """Connections grouped by their summary, the oldest first."""
    service = services(history)
    reasons, timers = _reasons(history), timers_of(history)
    alike: dict[ConnectionSummary, list[tuple[ConnectionSummary, Closing]]] = defaultdict(list)
    groups: dict[ConnectionSummary, list[tuple[ConnectionSummary, Closing]]] = {}
    for connection in sorted(history.connections, key=lambda connection: connection.opened):
        summary = _summary(connection, history, reasons, timers)
        group = groups.get(summary)
        if group is None:
            group = groups[summary] = alike[summary.renamed(lambda node: service.get(node, node))]
        group.append((summary, replace(connection.closing, at=None)))
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


def _own_reason(connection: Connection, reasons: Reasons) -> str:
    """Why the first closer closed, as it says itself; empty when it says nothing, or only what its peer did."""
    closing = connection.closing
    end = connection.client if closing.side is Side.CLIENT else connection.server
    own = end is not None and closing.first_closer == end.node  # not a NAT that closed in its name
    reported = reasons.get((end.node, end.local, end.peer), ()) if end is not None and own else ()
    near = min(reported, key=lambda event: abs(float(event["t"]) - _closed_at(connection)), default=None)
    return str(near["reason"]) if near is not None and near["reason"] in _OWN_REASONS else ""


def _closed_at(connection: Connection) -> float:
    return connection.closed[1] if connection.closed else 0.0


def _reasons(history: History) -> Reasons:
    """(node, local, peer) -> what that server said on closing, of all connections of that address pair."""
    found: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in history.closed:
        found[event["node"], str(event.get("local")), str(event.get("peer"))].append(event)
    return found


def _timer(connection: Connection, closing: Closing, history: History, timers: Timers) -> tuple[Timer | None, bool]:
    """The timer of the first closer that fits the silence before, and whether that was a wait for an answer."""
    side = closing.side
    node = connection.client_node if side is Side.CLIENT else connection.server_node
    if side is None or node not in timers or closing.first_closer != node:
        return None, False
    before = silence(connection, history)
    if before is None:
        return None, False
    fits = fitting(timers, node, side, before.least, before.most, unanswered=before.unanswered)
    return fits, fits is not None and before.unanswered


def _summary(connection: Connection, history: History, reasons: Reasons, timers: Timers) -> ConnectionSummary:
    client, server, port = _ends(connection)
    end = history.until
    sockets = connection.ends
    at_end = [(_state_at(socket, end), socket.node) for socket in sockets]
    # What closes after the end is the lab being taken down.
    closing = connection.closed_by(end)
    reason = _own_reason(connection, reasons) if closing.kind is not ClosingKind.OPEN else ""
    timer, unanswered = (None, False) if reason else _timer(connection, closing, history, timers)
    return ConnectionSummary(
        client=client,
        server=server,
        port=port,
        kind=closing.kind,
        first_closer=closing.first_closer,
        traced=closing.traced,
        reason=reason,
        timer=timer,
        unanswered=unanswered,
        lost=closing.lost,
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
        endless=tuple(socket.node for socket in sockets if never_ends(socket, end)),
        via=tuple(flow.node for flow in connection.via),
        expired=tuple(flow.node for flow in connection.via if expired(flow, connection)),
    )


def _ends(connection: Connection) -> tuple[str, str, int | None]:
    """Client, server and the server's port; an end that belongs to no node is named by its address."""
    client, _ = split_address(connection.client_pair[0])
    server, port = split_address(connection.server_pair[0])
    return connection.client_node or client, connection.server_node or server, port


def _state_at(socket: Socket, t: float) -> TcpState:
    """CLOSED when it was gone or its state is not known."""
    known = situation(socket, t)
    if isinstance(known, StateInterval):
        return known.state
    return next(iter(known.states)) if known is not None and len(known.states) == 1 else TcpState.CLOSED


def unobserved_by_node(history: History) -> dict[str, int]:
    """Node -> how many sockets at most the kernel counted and no sample showed, ends of known connections left out."""
    _, left = unobserved_ends(history.connections, history.unobserved)
    per_node: Counter[str] = Counter()
    for unobserved in left:
        if unobserved.after < history.until:
            per_node[unobserved.node] += unobserved.count
    return dict(per_node)
