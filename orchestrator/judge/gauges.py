"""Gauges: how many sockets are in a state. Known exactly at a tick, within bounds between two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import add, itemgetter

from orchestrator.history.index import Index
from orchestrator.history.model import Socket, StateInterval, UnknownInterval
from orchestrator.judge.evidence import LIMIT, Shown, sockets_seen, unobserved
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import margin
from orchestrator.judge.timeline import FAIL, PASS, UNKNOWN, Grid, Span, Track
from orchestrator.recording.causes import BetweenSamples, OutOfRange, OwnerUnknown, Reason
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import Margin
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.tcp.states import GAUGE_STATES, TcpState

_SPAN_OF_STAY = itemgetter(1, 2)
_SPAN_OF_GAP = itemgetter(0, 1)
"""Where one begins and ends."""


def other_states(named: Iterable[str]) -> frozenset[TcpState]:
    """What `others` counts: every state that the facts of the node do not name, LISTEN excluded."""
    return frozenset(GAUGE_STATES) - {TcpState.LISTEN} - {TcpState(name) for name in named}


class _Truths(dict[tuple[int, int], int]):
    """Bounds of a number -> the truth of the fact. Few pairs of bounds stand in many pieces."""

    def __init__(self, expected: Range | DurationRange) -> None:
        super().__init__()
        self._low, self._high = expected.low, expected.high

    def __missing__(self, bounds: tuple[int, int]) -> int:
        least, most = bounds
        inside = self._low <= least and most <= self._high
        self[bounds] = PASS if inside else FAIL if most < self._low or least > self._high else UNKNOWN
        return self[bounds]


class Gauge:
    """One gauge of a node, or the sum over the nodes of a service."""

    def __init__(self, index: Index, question: Question, states: frozenset[TcpState], matching: Filter) -> None:
        self.question = question
        self.nodes = index.resolve(question.node)
        self.by_samples = not index.history.exact or matching.by_owner
        self._index, self._states, self._range, self._filter = index, states, question.expected, matching
        self._stays: dict[int, list[StateInterval]] = {0: [], 1: []}
        """How many count for sure, 0 or 1 -> where one may. A large run has too many to hold a `Span` of each."""
        self._gaps: dict[int, list[UnknownInterval]] = {0: [], 1: []}
        self._find()
        self._hidden = [
            Span(after, before, False, 0, entry.count)
            for node in self.nodes
            for entry, after, before in index.hidden(node, states)
        ]
        self._grid = Grid(())
        self._least: Sequence[int] = ()
        self._most: Sequence[int] = ()

    def times(self) -> Iterable[float]:
        """Where the value can change."""
        stays, gaps = chain(*self._stays.values()), chain(*self._gaps.values())
        return chain(
            chain.from_iterable(map(_SPAN_OF_STAY, stays)),
            chain.from_iterable(map(_SPAN_OF_GAP, gaps)),
            chain.from_iterable(span[:2] for span in self._hidden),
        )

    def lay(self, grid: Grid) -> Track:
        """The truth of the fact at each piece of the grid, which must be cut at `times`."""
        self._grid = grid
        sure, perhaps = grid.changes(), grid.changes()
        for least, changes in ((0, perhaps), (1, sure)):
            grid.cover(changes, map(_SPAN_OF_STAY, self._stays[least]), closed=True)
            grid.cover(changes, map(_SPAN_OF_GAP, self._gaps[least]), closed=False)
        for span in self._hidden:
            grid.cover(perhaps, [span[:2]], closed=False, by=span.most)
        self._least, self._most = grid.sums(sure), grid.sums(list(map(add, sure, perhaps)))
        return Track(map(_Truths(self._range).__getitem__, zip(self._least, self._most, strict=True)))

    def _find(self) -> None:
        """A socket counts for sure while each state that it may be in is asked for, perhaps while one is."""
        for node in self.nodes:
            for socket in self._index.sockets.get(node, ()):
                matches = self._filter.socket(socket)
                if matches is False:
                    continue
                for stay in socket.intervals:
                    if stay.state in self._states:
                        self._stays[matches is True].append(stay)
                for gap in socket.unknown:
                    if not gap.states.isdisjoint(self._states):
                        self._gaps[matches is True and gap.states <= self._states].append(gap)

    def actual(self, pieces: Sequence[int]) -> Bounds:
        """The value over the pieces."""
        return Bounds(*self._extremes(pieces), self.question.unit)

    def _extremes(self, pieces: Sequence[int]) -> tuple[int, int]:
        return min(self._least[piece] for piece in pieces), max(self._most[piece] for piece in pieces)

    def why(self, piece: int, at: Instant) -> Reason:
        """Why the fact does not hold at the piece."""
        least, most = self._least[piece], self._most[piece]
        if least == most or most < self._range.low or least > self._range.high:
            return OutOfRange(at=at)
        t = self._grid.instant(piece)
        for node in self.nodes:
            before, after = self._index.ticks(node).before(t), self._index.ticks(node).from_(t)
            if before is not None and after is not None and t < after:
                return BetweenSamples(at=at, after=before, before=after)
        return OwnerUnknown(at=at)

    def margin(self, pieces: Sequence[int]) -> Margin | None:
        """How many sockets more or fewer would make the fact false somewhere in the pieces."""
        return margin(self.question, *self._extremes(pieces))

    def evidence(self, piece: int) -> Shown:
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
        shown = sockets_seen(self._index, counting + others if too_few else counting, t)
        hidden = [
            unobserved(entry)
            for node in self.nodes
            for entry, after, before in self._index.hidden(node, self._states)
            if after < t < before
        ]
        room = LIMIT - len(shown.items)
        return Shown((*shown.items, *hidden[:room]), shown.more + len(hidden[room:]))

    def _counts(self, known: StateInterval | UnknownInterval) -> bool:
        return known.state in self._states if isinstance(known, StateInterval) else bool(known.states & self._states)
