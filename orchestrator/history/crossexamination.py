"""Holds what the trace shows of a socket against every sample of it.

A tick bears the time before its tables were read, and takes some milliseconds. So what a table shows was so at some
instant of the tick. A socket returns to no state that it has left: what two successive ticks show it was in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from orchestrator.history.model import Contradiction, Socket, StateInterval, UnknownInterval
from orchestrator.history.sampled import Life, NodeTicks
from orchestrator.tcp.states import TcpState


def contradictions(socket: Socket, seen: Sequence[Life], ticks: NodeTicks, slack: float) -> list[Contradiction]:
    """The first sample of each sighting that cannot be. `seen`: what samples show of the socket; `slack`: s that a tick
    takes at most."""
    found = []
    for state, first, last in _sightings(seen, ticks):
        t = next((t for t in (first, last) if not may_be(socket, state, t, t + slack)), None)
        if t is None and last - first > slack:
            t = next((one.first for one in _others(socket, state, first + slack, last)), None)
        if t is not None:
            held = possible(socket, t, t + slack)
            until = max([t, *(min(one.last, last) for one in _others(socket, state, t, last))])
            told = Contradiction(socket.node, socket.sk, socket.local, socket.peer, t, "sample", state, held, until)
            found.append(told)
    return found


def possible(socket: Socket, start: float, end: float) -> frozenset[TcpState]:
    """The states in which the socket can have been at some instant of the closed interval; CLOSED: in none."""
    states = {one.state for one in socket.intervals if one.first <= end and one.last >= start}
    for gap in socket.unknown:
        if gap.after <= end and gap.before >= start:
            states |= gap.states
    return frozenset(states) or frozenset({TcpState.CLOSED})


def may_be(socket: Socket, state: TcpState, start: float, end: float) -> bool:
    """Whether the state is among those that are `possible`: nearly always it is that of a stay there."""
    for held, first, last in socket.intervals:
        if held is state and first <= end and last >= start:
            return True
    return state in possible(socket, start, end)


def doubted(socket: Socket, against: Iterable[Contradiction], ticks: NodeTicks) -> Socket:
    """The socket, with nothing known from the tick before each contradiction to the tick after its end."""
    for one in against:
        before, after = ticks.before(one.t), ticks.from_((one.t if one.until is None else one.until) + 1e-9)
        start = socket.intervals[0].first if before is None else before
        end = ticks.times[-1] if after is None else after
        socket = _without(socket, start, end, {one.shown} | one.held)
    return socket


def _without(socket: Socket, start: float, end: float, states: set[TcpState]) -> Socket:
    """The socket with a gap from `start` to `end`, which takes in whatever overlaps it."""
    kept: list[StateInterval] = []
    for one in socket.intervals:
        if one.last <= start or one.first >= end:
            kept.append(one)
            continue
        states.add(one.state)
        if one.first < start:
            kept.append(StateInterval(one.state, one.first, start))
        if one.last > end:
            kept.append(StateInterval(one.state, end, one.last))
    gaps: list[UnknownInterval] = []
    for gap in socket.unknown:
        if gap.before <= start or gap.after >= end:
            gaps.append(gap)
        else:
            states |= gap.states
            start, end = min(start, gap.after), max(end, gap.before)
    # All of its life is in doubt. It needs a state all the same: the last one, not that of its birth.
    kept = kept or [StateInterval(socket.intervals[-1].state, end, end)]
    gaps.append(UnknownInterval(start, end, frozenset(states)))
    ordered = sorted(gaps, key=lambda gap: gap.after)
    return replace(socket, intervals=tuple(kept), unknown=tuple(ordered))


def _others(socket: Socket, state: TcpState, start: float, end: float) -> Iterator[StateInterval]:
    return (one for one in socket.intervals if one.state is not state and one.first < end and one.last > start)


def _sightings(seen: Iterable[Life], ticks: NodeTicks) -> Iterator[tuple[TcpState, float, float]]:
    """Each state that samples show, with the first and the last tick that does."""
    for one in seen:
        for position, (first, state) in enumerate(one.sightings):
            following = one.sightings[position + 1][0] if position + 1 < len(one.sightings) else one.gone
            last = ticks.times[-1] if following is None else ticks.before(following)
            yield state, first, first if last is None else max(first, last)
