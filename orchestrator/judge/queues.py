"""Queues: Recv-Q or Send-Q of every socket in a state.

A reading stands until the next one. Between a tick that shows a right value and one that shows a wrong one nothing is
known; between two that agree, the fact is taken to have held as they say. From when a socket enters a state, which a
trace may tell, until a tick sees it there nothing is known of its queues. A listener's Recv-Q stands only until the
trace shows that a connection came (arrivals.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter

from orchestrator.history.index import Index, queue_at, situation
from orchestrator.history.model import Socket, StateInterval, UnknownInterval
from orchestrator.history.readings import QueueReading
from orchestrator.judge.arrivals import Arrivals
from orchestrator.judge.evidence import Shown, sockets_seen
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import margin
from orchestrator.judge.timeline import FAIL, PASS, UNKNOWN, Grid, Span, Track
from orchestrator.recording.causes import MatchedNothing, QueueOutOfRange, QueueUnknown, Reason
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import Margin
from orchestrator.tcp.states import TcpState


class Queue:
    """One queue of every socket of a node (or of all nodes of a service) in one state."""

    by_samples = True

    def __init__(
        self,
        index: Index,
        question: Question,
        matching: Filter,
        value: Callable[[QueueReading], int],
        *,
        grows: bool,
    ) -> None:
        """`grows`: what comes to a listener is in it. (Its Send-Q is what it was told to hold.)"""
        self.question = question
        self.nodes = index.resolve(question.node)
        self._index, self._state, self._range, self._filter = index, question.state, question.expected, matching
        self._value = value
        self._arrivals = Arrivals(index.history) if grows and question.state is TcpState.LISTEN else None
        self._spans: dict[int, list[Span]] = {PASS: [], UNKNOWN: [], FAIL: []}
        for truth, span in self._find_spans():
            self._spans[truth].append(span)
        self._grid = Grid(())

    def times(self) -> Iterable[float]:
        """Where the truth can change."""
        for spans in self._spans.values():
            for span in spans:
                yield span.start
                yield span.end

    def lay(self, grid: Grid) -> Track:
        """The truth of the fact at each piece: one wrong socket is enough; where no socket is, nothing is known."""
        self._grid = grid
        right, unclear, wrong = (grid.count(self._spans[truth])[1] for truth in (PASS, UNKNOWN, FAIL))
        return Track(
            FAIL if bad else UNKNOWN if dim or not good else PASS
            for good, dim, bad in zip(right, unclear, wrong, strict=True)
        )

    def _find_spans(self) -> Iterator[tuple[int, Span]]:
        for node in self.nodes:
            for socket, interval in self._index.intervals(node, self._state):
                matches = self._filter.socket(socket)
                if matches is not False:
                    for truth, span in self._known(socket, interval):
                        yield truth if matches else UNKNOWN, span
            for possible, gaps in self._index.unknown(node).items():
                if self._state in possible:
                    for socket, gap in gaps:
                        if self._filter.socket(socket) is not False:
                            yield UNKNOWN, Span(gap.after, gap.before, False, 0, 1)
            for entry, after, before in self._index.hidden(node, frozenset({self._state})):
                yield UNKNOWN, Span(after, before, False, 0, entry.count)

    def _known(self, socket: Socket, interval: StateInterval) -> Iterator[tuple[int, Span]]:
        """The readings, but for the times when connections came that no tick has read yet."""
        spans = list(self._readings(socket, interval))
        unread = [] if self._arrivals is None else list(self._arrivals.unread(socket, self._index.ticks(socket.node)))
        for start, end, came in unread:
            spans = [piece for truth, span in spans for piece in _without(truth, span, start, end)]
            if end > start >= interval.first and start <= interval.last:
                reading = queue_at(socket, start)
                most = None if reading is None else self._value(reading) + came
                truth = UNKNOWN if most is None else self._among(most)
                spans += [(truth, Span(start, start, True, 0, 1)), (truth, Span(start, end, False, 0, 1))]
        yield from spans

    def _among(self, most: int) -> int:
        """The truth of a queue that holds from 0 to so many."""
        right = sum(value in self._range for value in range(most + 1))
        return PASS if right == most + 1 else UNKNOWN if right else FAIL

    def _readings(self, socket: Socket, interval: StateInterval) -> Iterator[tuple[int, Span]]:
        ticks = self._index.ticks(socket.node)
        since = ticks.from_(interval.first)
        position = 0 if since is None else bisect_right(socket.queues, since, key=attrgetter("t"))
        if since is None or since > interval.last or position == 0:
            yield UNKNOWN, Span(interval.first, interval.last, True, 0, 1)
            return
        if since > interval.first:
            yield UNKNOWN, Span(interval.first, interval.first, True, 0, 1)
            yield UNKNOWN, Span(interval.first, since, False, 0, 1)
        truth = self._truth(socket.queues[position - 1])
        for reading in socket.queues[position:]:
            if reading.t > interval.last:
                break
            if self._truth(reading) != truth:
                before = ticks.before(reading.t)
                assert before is not None
                yield truth, Span(since, before, True, 0, 1)
                yield UNKNOWN, Span(before, reading.t, False, 0, 1)
                since, truth = reading.t, self._truth(reading)
        yield truth, Span(since, interval.last, True, 0, 1)

    def _truth(self, reading: QueueReading) -> int:
        return PASS if self._value(reading) in self._range else FAIL

    def _at(self, t: float) -> tuple[list[Socket], list[Socket]]:
        """The sockets that are in the state at `t` for sure, and those that may be."""
        sure: list[Socket] = []
        perhaps: list[Socket] = []
        for node in self.nodes:
            for socket, known in self._index.alive(node, t):
                matches = self._filter.socket(socket)
                if matches is False:
                    continue
                if isinstance(known, UnknownInterval):
                    if self._state in known.states:
                        perhaps.append(socket)
                elif known.state is self._state:
                    (sure if matches else perhaps).append(socket)
        return sure, perhaps

    def _values(self, t: float) -> list[int]:
        readings = (queue_at(socket, t) for socket in self._at(t)[0] if self._was_read(socket, t))
        return [self._value(reading) for reading in readings if reading is not None]

    def _was_read(self, socket: Socket, t: float) -> bool:
        """Whether a tick saw it at `t` or before, in the state that it had at `t`."""
        known = situation(socket, t)
        assert isinstance(known, StateInterval)
        tick = self._index.ticks(socket.node).from_(known.first)
        return tick is not None and tick <= t

    def actual(self, pieces: Sequence[int]) -> Bounds | None:
        """The values at the first of the pieces; None when no socket is known to be in the state."""
        values = self._values(self._grid.instant(pieces[0]))
        return Bounds(min(values), max(values), self.question.unit) if values else None

    def why(self, piece: int, at: Instant) -> Reason:
        """Why the fact does not hold at the piece."""
        t = self._grid.instant(piece)
        wrong = [value for value in self._values(t) if value not in self._range]
        if wrong and piece % 2 == 0:
            return QueueOutOfRange(at=at, sockets=len(wrong), least=min(wrong), most=max(wrong))
        return QueueUnknown(at=at) if any(self._at(t)) else MatchedNothing(of="socket", at=at)

    def margin(self, pieces: Sequence[int]) -> Margin | None:
        """How many bytes more or fewer in one queue would make the fact false at the first of the pieces."""
        values = self._values(self._grid.instant(pieces[0]))
        return margin(self.question, min(values), max(values)) if values else None

    def evidence(self, piece: int) -> Shown:
        """The sockets in the state, those with a wrong queue first."""
        t = self._grid.instant(piece)
        sure, perhaps = self._at(t)
        sure.sort(key=lambda socket: (reading := queue_at(socket, t)) is None or self._truth(reading) == PASS)
        return sockets_seen(self._index, sure + perhaps, t)


def _without(truth: int, span: Span, start: float, end: float) -> Iterator[tuple[int, Span]]:
    """What is left of a span outside of [start, end)."""
    if end <= start or span.end < start or span.start >= end or (span.start == span.end and not span.closed):
        yield truth, span
        return
    if span.start < start:
        if span.closed:
            yield truth, Span(span.start, span.start, True, 0, 1)
        yield truth, Span(span.start, start, False, 0, 1)
    if span.end >= end:
        if span.closed or span.end > end:
            yield truth, Span(end, end, True, 0, 1)
        if span.end > end:
            yield truth, Span(end, span.end, span.closed, 0, 1)
