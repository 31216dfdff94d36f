"""Counts sockets per node and state at an instant: what is certain, and what is possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.recording.history import History, QueueReading, Socket
from orchestrator.scenario.facts import GAUGE_STATES, TcpState


@dataclass(frozen=True, slots=True)
class Count:
    """At least `low` and at most `high`, both included; equal when the recording is certain."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


def possible_states(socket: Socket, t: float) -> frozenset[TcpState]:
    """The states that the socket may have been in at `t`: one when that is known; CLOSED stands for no socket."""
    for stay in socket.stays:
        if stay.first <= t <= stay.last:
            return frozenset({stay.state})
    for gap in socket.gaps:
        if gap.after < t < gap.before:
            return gap.states
    return frozenset({TcpState.CLOSED})


def count_states(history: History, node: str, t: float) -> dict[TcpState, Count]:
    """Every state of a socket table -> how many sockets of `node` were in it at `t`.

    Sockets that no sample showed count as possible in every state that they can have been in.
    """
    low: Counter[TcpState] = Counter()
    high: Counter[TcpState] = Counter()
    for socket in history.sockets:
        if socket.node == node:
            states = possible_states(socket, t)
            high.update(states)
            low.update(states if len(states) == 1 else ())
    for unseen in history.unseen:
        if unseen.node == node and unseen.after < t < unseen.before:
            high.update(dict.fromkeys(unseen.states, unseen.count))
    return {state: Count(low[state], high[state]) for state in GAUGE_STATES}


def queue_at(socket: Socket, t: float) -> QueueReading | None:
    """The reading that stood at `t`; None before the first."""
    return max((reading for reading in socket.queues if reading.t <= t), key=lambda reading: reading.t, default=None)


def recv_q(history: History, node: str, state: TcpState, t: float) -> Count | None:
    """The smallest and the largest Recv-Q, bytes, of the sockets that were surely in `state` at `t`; None: no such."""
    readings = [
        reading.recv_q
        for socket in history.sockets
        if socket.node == node and possible_states(socket, t) == {state} and (reading := queue_at(socket, t))
    ]
    return Count(min(readings), max(readings)) if readings else None


def moments_by_instant(history: History) -> list[tuple[float, list[str]]]:
    """Named moments in order of time; those that share an instant stand together, in the recording's order."""
    together: dict[float, list[str]] = {}
    for name, t in history.moments.items():
        together.setdefault(t, []).append(name)
    return sorted(together.items())


def in_reading_order(states: Iterable[TcpState]) -> list[TcpState]:
    """ESTABLISHED first, then the way of a close, LISTEN last."""
    given = set(states)
    order = [TcpState.ESTABLISHED, *(state for state in GAUGE_STATES if state is not TcpState.ESTABLISHED)]
    return [state for state in order if state in given]
