"""The history, arranged for the judge's questions: what is where, who is who, which instants are known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter

from orchestrator.history.counters import Counters
from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import Connection, History, Socket, StateInterval, UnknownInterval, Unobserved
from orchestrator.history.readings import QueueReading
from orchestrator.history.sampled import NodeTicks
from orchestrator.history.unobservedends import unobserved_ends
from orchestrator.tcp.lifecycle import CLOSING_STATES, EMBRYONIC
from orchestrator.tcp.states import TcpState

_Stays = defaultdict[tuple[str, TcpState], list[tuple[Socket, StateInterval]]]
_Gaps = defaultdict[str, defaultdict[frozenset[TcpState], list[tuple[Socket, UnknownInterval]]]]


class Index:
    """A history with what was looked up in it. One for all expectations."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.counters = Counters(history.counters, history.moments.values())
        self.period = float(history.begin.get("period", 0.05))
        self.rests = bool(history.begin.get("quiet"))
        """Whether sampling followed events."""
        self._ticks: dict[str, NodeTicks] = {}
        self._looked_up: tuple[str, float, list[tuple[Socket, StateInterval | UnknownInterval]]] = ("", 0.0, [])
        """What `alive` was asked last, and its answer: several numbers are asked of one instant."""

    @cached_property
    def sockets(self) -> dict[str, list[Socket]]:
        """Node -> its sockets."""
        found: dict[str, list[Socket]] = defaultdict(list)
        for socket in self.history.sockets:
            found[socket.node].append(socket)
        return found

    def alive(self, node: str, t: float) -> list[tuple[Socket, StateInterval | UnknownInterval]]:
        """The node's sockets that live or may live at `t`, with what is known of them there."""
        if self._looked_up[:2] != (node, t):
            around = [socket for first, last, socket in self._lives[node] if first <= t <= last]
            known = ((socket, situation(socket, t)) for socket in around)
            self._looked_up = node, t, [(socket, at_t) for socket, at_t in known if at_t is not None]
        return self._looked_up[2]

    @cached_property
    def _lives(self) -> dict[str, list[tuple[float, float, Socket]]]:
        found: dict[str, list[tuple[float, float, Socket]]] = defaultdict(list)
        for socket in self.history.sockets:
            found[socket.node].append((birth(socket)[0], death(socket), socket))
        return found

    def intervals(self, node: str, state: TcpState) -> list[tuple[Socket, StateInterval]]:
        """Every stay of the node's sockets in the state."""
        return self._arranged[0].get((node, state), [])

    def unknown(self, node: str) -> dict[frozenset[TcpState], list[tuple[Socket, UnknownInterval]]]:
        """Every gap of the node's sockets, by the states that are possible in it: few sets, many gaps."""
        return self._arranged[1].get(node, {})

    @cached_property
    def _arranged(self) -> tuple[_Stays, _Gaps]:
        intervals: _Stays = defaultdict(list)
        gaps: _Gaps = defaultdict(lambda: defaultdict(list))
        for socket in self.history.sockets:
            for interval in socket.intervals:
                intervals[socket.node, interval.state].append((socket, interval))
            for gap in socket.unknown:
                gaps[socket.node][gap.states].append((socket, gap))
        return intervals, gaps

    @cached_property
    def unobserved(self) -> dict[str, list[Unobserved]]:
        """Node -> its unseen sockets."""
        found: dict[str, list[Unobserved]] = defaultdict(list)
        for entry in self.history.unobserved:
            found[entry.node].append(entry)
        return found

    @cached_property
    def connections(self) -> dict[str, list[Connection]]:
        """Node -> connections of which it is an end. One with itself is there once."""
        found: dict[str, list[Connection]] = defaultdict(list)
        for connection in self.history.connections:
            for node in {connection.client_node, connection.server_node} - {None}:
                found[str(node)].append(connection)
        return found

    @cached_property
    def through(self) -> dict[str, list[Connection]]:
        """Node -> connections that pass through it, as they do through a NAT."""
        found: dict[str, list[Connection]] = defaultdict(list)
        for connection in self.history.connections:
            for flow in connection.via:
                found[flow.node].append(connection)
        return found

    @cached_property
    def _ends(self) -> tuple[dict[str, list[Connection]], dict[str, list[Unobserved]]]:
        matched, left = unobserved_ends(self.history.connections, self.history.unobserved)
        by_node: dict[str, list[Unobserved]] = defaultdict(list)
        for entry in left:
            by_node[entry.node].append(entry)
        return matched, by_node

    def half_observed(self, node: str) -> list[Connection]:
        """Connections whose end on the node was counted by the kernel but seen by no tick."""
        return self._ends[0].get(node, [])

    @cached_property
    def answered(self) -> frozenset[int]:
        """`id` of each client end whose handshake was finished, as the server's end or its node's counters show."""
        counted = {id(connection) for found in self._ends[0].values() for connection in found}
        return frozenset(
            id(connection.client)
            for connection in self.history.connections
            if connection.client is not None
            and (
                any(interval.state not in EMBRYONIC for interval in connection.server.intervals)
                if connection.server is not None
                else id(connection) in counted
            )
        )

    def wholly_unobserved(self, node: str) -> list[Unobserved]:
        """Sockets of the node that nothing is known of but that they lived."""
        return self._ends[1].get(node, [])

    def hidden(self, node: str, states: frozenset[TcpState]) -> Iterator[tuple[Unobserved, float, float]]:
        """Unseen sockets that may have been in some of the states, with each open interval between two ticks where."""
        times = self.ticks(node).times
        for entry in self.unobserved.get(node, ()):
            if entry.states & states:
                first, last = bisect_left(times, entry.after), bisect_left(times, entry.before)
                for after, before in pairwise(times[first : last + 1]):
                    yield entry, after, before

    def resolve(self, name: str) -> tuple[str, ...]:
        """The nodes that a name stands for; empty when there is none."""
        return (name,) if name in self.history.nodes else tuple(self.history.groups.get(name, ()))

    def ticks(self, node: str) -> NodeTicks:
        """The ticks that sampled the node."""
        if node not in self._ticks:
            self._ticks[node] = NodeTicks(self.history.ticks, self.history.missed.get(node, ()))
        return self._ticks[node]

    def observed(self, nodes: Sequence[str]) -> tuple[float, float] | None:
        """From when to when all of the nodes were sampled; None when one never was."""
        times = [self.ticks(node).times for node in nodes]
        if not times or not all(times):
            return None
        first, last = max(each[0] for each in times), min(each[-1] for each in times)
        return (first, last) if first <= last else None

    def coarsest(self, nodes: Sequence[str], start: float, end: float) -> tuple[float, float] | None:
        """The longest time between two samples that overlaps [start, end], when it is far above the period."""
        found: tuple[float, float] | None = None
        for node in nodes:
            times = self.ticks(node).times
            position = max(0, bisect_left(times, start) - 1)
            for before, after in pairwise(times[position:]):
                if before >= end and before > start:
                    break
                if after > start and (found is None or after - before > found[1] - found[0]):
                    found = (before, after)
        if found is None or found[1] - found[0] <= max(5 * self.period, 0.5):
            return None
        return found


def situation(socket: Socket, t: float) -> StateInterval | UnknownInterval | None:
    """What is known of the socket at `t`: its stay, its gap, or None when it did not live."""
    for interval in socket.intervals:
        if interval.first <= t <= interval.last:
            return interval
    for gap in socket.unknown:
        if gap.after < t < gap.before:
            return gap
    return None


def queue_at(socket: Socket, t: float) -> QueueReading | None:
    """The last reading of the queues at or before `t`."""
    position = bisect_right(socket.queues, t, key=attrgetter("t"))
    return socket.queues[position - 1] if position else None


def orphaned_at(socket: Socket, t: float) -> bool | None:
    """Of a socket that is closing at `t`: whether no process had it open any more at the last reading in its state.

    None where that does not apply, or no sample tells. A half-closed connection (`shutdown`) is in FIN_WAIT2 with its
    owner; one that was closed outright is an orphan there.
    """
    known = situation(socket, t) if socket.owned else None
    if not isinstance(known, StateInterval) or known.state not in CLOSING_STATES:
        return None
    position = bisect_right(socket.owned, t, key=itemgetter(0))
    if not position or socket.owned[position - 1][0] < known.first:
        return None
    return not socket.owned[position - 1][1]


def never_ends(socket: Socket, t: float) -> bool:
    """Whether it stands in FIN_WAIT2 at `t`, owned and without a timer, as samples show."""
    if socket.untimed is None:
        return False
    known = situation(socket, t)
    in_state = isinstance(known, StateInterval) and known.state is TcpState.FIN_WAIT2
    return in_state and orphaned_at(socket, t) is False
