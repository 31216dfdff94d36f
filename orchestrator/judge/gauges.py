"""Gauges: how many sockets are in a state. Known exactly at a tick, within bounds between two."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from orchestrator.history.index import Filter, Index
from orchestrator.history.model import Socket, StateInterval, UnknownInterval
from orchestrator.judge.evidence import LIMIT, socket_lines, unobserved_line
from orchestrator.judge.timeline import FAIL, PASS, UNKNOWN, Grid, Span, Track
from orchestrator.scenario.values import Range
from orchestrator.tcp.states import GAUGE_STATES, TcpState
from orchestrator.text.durations import at
from orchestrator.text.numbers import number, plural


def other_states(named: Iterable[str]) -> frozenset[TcpState]:
    """What `others` counts: every state that the facts of the node do not name, LISTEN excluded."""
    return frozenset(GAUGE_STATES) - {TcpState.LISTEN} - {TcpState(name) for name in named}


class Gauge:
    """One gauge of a node, or the sum over the nodes of a service."""

    def __init__(
        self,
        index: Index,
        node: str,
        fact: str,
        states: frozenset[TcpState],
        expected: Range,
        matching: Filter,
    ) -> None:
        self.node, self.fact, self.expected = node, fact, str(expected)
        self.nodes = index.resolve(node)
        self.by_samples = not index.history.exact or matching.by_owner
        self._index, self._states, self._range, self._filter = index, states, expected, matching
        self._spans = list(self._find_spans())
        self._grid = Grid(())
        self._least: list[int] = []
        self._most: list[int] = []

    def times(self) -> Iterable[float]:
        """Where the value can change."""
        for span in self._spans:
            yield span.start
            yield span.end

    def lay(self, grid: Grid) -> Track:
        """The truth of the fact at each piece of the grid, which must be cut at `times`."""
        self._grid = grid
        self._least, self._most = grid.count(self._spans)
        low, high = self._range.low, self._range.high
        return Track(
            PASS if low <= least and most <= high else FAIL if most < low or least > high else UNKNOWN
            for least, most in zip(self._least, self._most, strict=True)
        )

    def _find_spans(self) -> Iterable[Span]:
        """A socket counts for sure while each state that it may be in is asked for, perhaps while one is."""
        for node in self.nodes:
            for state in self._states:
                for socket, interval in self._index.intervals(node, state):
                    if (sure := self._filter.socket(socket)) is not False:
                        yield Span(interval.first, interval.last, True, int(sure is True), 1)
            for possible, gaps in self._index.unknown(node).items():
                if possible & self._states:
                    within = possible <= self._states
                    for socket, gap in gaps:
                        if (sure := self._filter.socket(socket)) is not False:
                            yield Span(gap.after, gap.before, False, int(within and sure is True), 1)
            for entry, after, before in self._index.hidden(node, self._states):
                yield Span(after, before, False, 0, entry.count)

    def actual(self, pieces: Sequence[int]) -> str:
        """The value over the pieces."""
        return number(min(self._least[piece] for piece in pieces), max(self._most[piece] for piece in pieces))

    def why(self, piece: int) -> str:
        """Why the fact does not hold at the piece."""
        least, most = self._least[piece], self._most[piece]
        what = f"{plural(number(least, most), 'socket')} {self._what()} on {self.node}, expected {self.expected}"
        if least == most or most < self._range.low or least > self._range.high:
            return what
        t = self._grid.instant(piece)
        for node in self.nodes:
            before, after = self._index.ticks(node).before(t), self._index.ticks(node).from_(t)
            if before is not None and after is not None and t < after:
                return f"{what}: the samples at {at(before)} and {at(after)} do not tell"
        return f"{what}: the owner of some sockets is not known"

    def _what(self) -> str:
        return "in other states" if self.fact == "others" else f"in {self.fact}"

    def slack(self, pieces: Sequence[int]) -> str:
        """How many sockets more or fewer would make the fact false somewhere in the pieces."""
        nearest = math.inf
        if self._range.low > 0:
            nearest = min(self._least[piece] for piece in pieces) - self._range.low + 1
        if self._range.high < math.inf:
            nearest = min(nearest, self._range.high - max(self._most[piece] for piece in pieces) + 1)
        return "" if nearest == math.inf else plural(f"{nearest:.0f}", "socket")

    def evidence(self, piece: int) -> tuple[str, ...]:
        """The sockets that count or may count at the piece; where too few do, the others that are there."""
        t = self._grid.instant(piece)
        counting: list[Socket] = []
        others: list[Socket] = []
        for node in self.nodes:
            for socket, known in self._index.alive(node, t):
                if self._filter.socket(socket) is False:
                    continue
                if self._counts(known):
                    counting.append(socket)
                elif not isinstance(known, StateInterval) or known.state is not TcpState.LISTEN:
                    others.append(socket)
        too_few = self._least[piece] < self._range.low
        lines = socket_lines(self._index, counting + others if too_few else counting, t)
        unobserved = [
            unobserved_line(entry)
            for node in self.nodes
            for entry, after, before in self._index.hidden(node, self._states)
            if after < t < before
        ]
        return lines + tuple(unobserved[: max(0, LIMIT - len(lines))])

    def _counts(self, known: StateInterval | UnknownInterval) -> bool:
        return known.state in self._states if isinstance(known, StateInterval) else bool(known.states & self._states)
