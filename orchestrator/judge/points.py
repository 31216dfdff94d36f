"""Facts about instants (gauges and queues): read at a moment, always, or eventually."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from orchestrator.history.index import Index
from orchestrator.judge.evidence import Shown
from orchestrator.judge.moments import Asked, Landmarks
from orchestrator.judge.question import Question
from orchestrator.judge.timeline import (
    FAIL,
    OUTCOMES,
    PASS,
    UNKNOWN,
    Grid,
    Stretch,
    Track,
    holds_for,
    stretches,
    worst,
)
from orchestrator.recording.causes import (
    HeldTooShort,
    HoldingUnknown,
    NeverSampled,
    OutsideSamples,
    Reason,
    SampledTooCoarsely,
)
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import FactVerdict, Margin, WhenKind
from orchestrator.text.record import record


class PointFact(Protocol):
    """A fact with a truth value at every instant. `lay` first; the others speak of pieces of its grid."""

    question: Question
    nodes: tuple[str, ...]
    by_samples: bool
    """Whether samples decide it; else the kernel's trace tells it at every instant, however far apart samples are."""

    def times(self) -> Iterable[float]: ...
    def lay(self, grid: Grid) -> Track: ...
    def actual(self, pieces: Sequence[int]) -> Bounds | None: ...
    def why(self, piece: int, at: Instant) -> Reason: ...
    def margin(self, pieces: Sequence[int]) -> Margin | None: ...
    def evidence(self, piece: int) -> Shown: ...


@record
class Decision:
    """What was found out about facts together: the truth, the piece that decided, and what is to be said of it."""

    truth: int
    piece: int
    note: Reason | None = None


class PointJudge:
    """Judges the point facts of one expectation on a grid of their own."""

    def __init__(self, index: Index, landmarks: Landmarks, facts: Sequence[PointFact], when: Asked) -> None:
        self._index, self._landmarks, self._facts, self._when = index, landmarks, facts, when
        self._observed = index.observed([node for fact in facts for node in fact.nodes])
        self.grid = Grid(self._times())
        self._tracks = [self._lay(fact) for fact in facts]

    def _times(self) -> set[float]:
        """Where anything can change."""
        asked = {self._when.instant, self._when.start, self._when.end, *(self._observed or ())}
        return asked.union(*(fact.times() for fact in self._facts))

    def _lay(self, fact: PointFact) -> Track:
        """The fact's truth; unknown where its nodes were not observed."""
        track = fact.lay(self.grid)
        if self._observed is None:
            return Track([UNKNOWN]) * len(track)
        first, last = (self.grid.at(t) for t in self._observed)
        track[:first] = Track([UNKNOWN]) * first
        track[last + 1 :] = Track([UNKNOWN]) * (len(track) - last - 1)
        return track

    def judge(self, length: float | None) -> tuple[list[FactVerdict], float | None]:
        """A verdict per fact, and the instant that decided. `length`: how long it must hold, with `eventually`."""
        match self._when.when.kind:
            case WhenKind.ALWAYS | WhenKind.NEVER:
                return self._always()
            case WhenKind.EVENTUALLY:
                return self._eventually(length or 0.0)
            case _:
                piece = self.grid.at(self._when.instant)
                verdicts = [
                    self._verdict(number, Decision(track[piece], piece), [piece])
                    for number, track in enumerate(self._tracks)
                ]
                return verdicts, self._when.instant

    def _always(self) -> tuple[list[FactVerdict], float | None]:
        """Each fact by itself: the first piece of the window in which it is worst decides."""
        window = self.grid.pieces(self._when.start, self._when.end)
        verdicts: list[FactVerdict] = []
        decisive: list[tuple[int, int]] = []
        for number, track in enumerate(self._tracks):
            part = track[window.start : window.stop]
            truth = max(part)
            piece = window.start + part.index(truth)
            decisive.append((-truth, piece))
            verdicts.append(self._verdict(number, Decision(truth, piece), window if truth == PASS else [piece]))
        truth, piece = min(decisive)
        return verdicts, self.grid.instant(piece) if truth else None

    def _eventually(self, length: float) -> tuple[list[FactVerdict], float | None]:
        """The facts together: some instant at which all hold, and go on to hold for `length`."""
        decision = self._decide(worst(self._tracks, self.grid.size), length)
        piece = decision.piece
        verdicts: list[FactVerdict] = []
        for number, track in enumerate(self._tracks):
            # The facts are true together or not at all: where each holds but not for long enough, none passes.
            truth = track[piece] if any(other[piece] == decision.truth for other in self._tracks) else decision.truth
            verdicts.append(self._verdict(number, Decision(truth, piece, decision.note), [piece]))
        return verdicts, self.grid.instant(piece)

    def _decide(self, track: Track, length: float) -> Decision:
        start, end = self._when.start, self._when.end
        window = self.grid.pieces(start, end)

        def long_enough(at_worst: int, endless: bool) -> Stretch | None:
            found = stretches(track, at_worst)
            return next((s for s in found if holds_for(self.grid, s, start, end, length, endless=endless)), None)

        if (sure := long_enough(PASS, False)) is not None:
            return Decision(PASS, max(sure.first, window.start))
        if (possible := long_enough(UNKNOWN, True)) is not None:
            first = max(possible.first, window.start)
            unclear = track.find(UNKNOWN, first, possible.last + 1)
            if unclear >= 0:
                unsure = HoldingUnknown(wanted=length, recording_ends=False) if length else None
                return Decision(UNKNOWN, unclear, unsure)
            return Decision(UNKNOWN, possible.last, HoldingUnknown(wanted=length, recording_ends=True))
        touching = [s for s in stretches(track, UNKNOWN) if holds_for(self.grid, s, start, end, 0.0, endless=False)]
        if touching:
            longest = max(touching, key=lambda s: self._length(s, start))
            since = max(self.grid.bounds(longest.first)[0], start)
            held = self._length(longest, start)
            note = HeldTooShort(held=held, since=self._landmarks.instant(since), wanted=length)
            return Decision(FAIL, longest.last + 1, note)
        return Decision(FAIL, min(window, key=self._badness))

    def _badness(self, piece: int) -> tuple[int, int]:
        """How many facts fail at the piece, and how many do not hold for sure."""
        truths = [track[piece] for track in self._tracks]
        return truths.count(FAIL), len(truths) - truths.count(PASS)

    def _length(self, stretch: Stretch, start: float) -> float:
        return self.grid.bounds(stretch.last)[1] - max(self.grid.bounds(stretch.first)[0], start)

    def _verdict(self, number: int, decision: Decision, pieces: Sequence[int]) -> FactVerdict:
        fact, piece, passed = self._facts[number], decision.piece, decision.truth == PASS
        return fact.question.verdict(
            OUTCOMES[decision.truth],
            actual=fact.actual(pieces),
            reasons=() if passed else tuple(self._reasons(number, decision)),
            nearest=None if passed else self._nearest(number, piece),
            margin=self._margin(number, pieces) if passed else None,
            evidence=fact.evidence(piece),
        )

    def _reasons(self, number: int, decision: Decision) -> Iterator[Reason]:
        fact, piece = self._facts[number], decision.piece
        t = self.grid.instant(piece)
        if self._observed is None:
            yield NeverSampled(nodes=fact.nodes)
            return
        at = self._landmarks.instant(t)
        first, last = self._observed
        if not first <= t <= last:
            yield OutsideSamples(at=at, first=first, last=last)
            return
        if self._tracks[number][piece] != PASS:
            yield fact.why(piece, at)
        if decision.note is not None:
            yield decision.note
        if decision.truth == UNKNOWN and (coarse := self._coarse(fact)):
            yield coarse

    def _coarse(self, fact: PointFact) -> SampledTooCoarsely | None:
        if not fact.by_samples:
            return None
        since = self._when.instant if self._when.when.kind is WhenKind.AT else self._when.start
        widest = self._index.coarsest(fact.nodes, since, self._when.end)
        if widest is None:
            return None
        return SampledTooCoarsely(
            after=widest[0], before=widest[1], period=self._index.period, follows_trace=self._index.rests
        )

    def _nearest(self, number: int, piece: int) -> Instant | None:
        """The instant nearest to the one that decided at which the fact holds, by the named moment before it."""
        found = self._closest(number, piece, piece, (PASS,))
        return None if found is None else self._landmarks.instant(self.grid.instant(found[0]))

    def _margin(self, number: int, pieces: Sequence[int]) -> Margin | None:
        fact = self._facts[number]
        margin = fact.margin(pieces)
        found = self._closest(number, pieces[0], pieces[-1], (UNKNOWN, FAIL))
        if found is None:
            return margin
        return replace(margin or Margin(None, fact.question.unit), change=found[1])

    def _closest(self, number: int, first: int, last: int, wanted: Sequence[int]) -> tuple[int, float] | None:
        """The piece outside first..last with one of these truths that is nearest in time, and how far away it is,
        seconds."""
        track = self._tracks[number]
        after = min((at for truth in wanted if (at := track.find(truth, last + 1)) >= 0), default=None)
        before = max((at for truth in wanted if (at := track.rfind(truth, 0, first)) >= 0), default=None)
        found: list[tuple[float, int]] = []
        if after is not None:
            found.append((self.grid.distance(after, self.grid.bounds(last)[1]), after))
        if before is not None:
            found.append((self.grid.distance(before, self.grid.bounds(first)[0]), before))
        return (min(found)[1], min(found)[0]) if found else None
