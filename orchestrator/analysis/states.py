"""Counts sockets per node and state at an instant: what is certain, and what is possible."""

from __future__ import annotations

from collections import Counter

from orchestrator.history.index import Index, queue_at
from orchestrator.history.model import History, StateInterval
from orchestrator.tcp.states import GAUGE_STATES, TcpState
from orchestrator.text.record import record

READING_ORDER = (TcpState.ESTABLISHED, *(state for state in GAUGE_STATES if state is not TcpState.ESTABLISHED))
"""ESTABLISHED first, then the ways of opening and closing, LISTEN last."""


@record
class Count:
    """At least `low` and at most `high`, both included; equal when the recording is certain."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


def count_states(index: Index, node: str, t: float) -> dict[TcpState, Count]:
    """The states that a socket of `node` had, or may have had, at `t` -> how many, in reading order.

    Sockets that no sample showed count as possible in every state that they can have been in.
    """
    low: Counter[TcpState] = Counter()
    high: Counter[TcpState] = Counter()
    for _, known in index.alive(node, t):
        if isinstance(known, StateInterval):
            low[known.state] += 1
        else:
            high.update(known.states)
    high.update(low)
    for unobserved in index.unobserved.get(node, ()):
        if unobserved.after < t < unobserved.before:
            high.update(dict.fromkeys(unobserved.states, unobserved.count))
    return {state: Count(low[state], high[state]) for state in READING_ORDER if high[state]}


def recv_q(index: Index, node: str, state: TcpState, t: float) -> Count | None:
    """The smallest and the largest Recv-Q, bytes, of the sockets that were surely in `state` at `t`; None: no such."""
    readings = [
        reading.recv_q
        for socket, known in index.alive(node, t)
        if isinstance(known, StateInterval) and known.state is state and (reading := queue_at(socket, t))
    ]
    return Count(min(readings), max(readings)) if readings else None


def moments_by_instant(history: History) -> list[tuple[float, list[str]]]:
    """Named moments in order of time; those that share an instant stand together, in the recording's order."""
    together: dict[float, list[str]] = {}
    for name, t in history.moments.items():
        together.setdefault(t, []).append(name)
    return sorted(together.items())
