"""What adds up over a window, with bounds: what surely happened inside, and what may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from orchestrator.judge.evidence import LIMIT, NOTHING, Shown, joined
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.recording.causes import AddressUnknown, NotFilterable, OutOfRange, Reason, SomeMayCount
from orchestrator.recording.events import Event
from orchestrator.recording.evidence import Evidence
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.text.record import record


@record
class Tally:
    """Between `least` and `most` things were counted. `doubt` says why the two differ."""

    least: int = 0
    most: float = 0
    doubt: Reason | None = None
    evidence: Shown = NOTHING

    def verdict(self, question: Question) -> FactVerdict:
        """The count beside the range that was expected."""
        expected = question.expected
        outcome = self.outcome(expected)
        reasons: tuple[Reason, ...] = ()
        if outcome is Outcome.FAIL:
            reasons = (OutOfRange(),)
        elif outcome is Outcome.UNKNOWN and self.doubt is not None:
            reasons = (self.doubt,)
        return question.verdict(
            outcome,
            actual=None
            if self._nothing_known and outcome is Outcome.UNKNOWN
            else Bounds.of(self.least, self.most, question.unit),
            reasons=reasons,
            margin=margin(question, self.least, self.most) if outcome is Outcome.PASS else None,
            evidence=self.evidence,
        )

    @property
    def _nothing_known(self) -> bool:
        return self.least == 0 and math.isinf(self.most)

    def outcome(self, expected: Range | DurationRange) -> Outcome:
        if expected.low <= self.least and self.most <= expected.high:
            return Outcome.PASS
        if self.most < expected.low or self.least > expected.high:
            return Outcome.FAIL
        return Outcome.UNKNOWN


def margin(question: Question, least: float, most: float) -> Margin | None:
    """How many more or fewer would make the fact false; None where no number would."""
    expected = question.expected
    below = least - expected.low + 1 if expected.low > 0 else math.inf
    nearest = min(below, expected.high - most + 1)
    return None if math.isinf(nearest) else Margin(int(nearest), question.unit)


def unknown(doubt: Reason) -> Tally:
    """Nothing can be said."""
    return Tally(0, math.inf, doubt)


@record
class Inside:
    """How an event that lies somewhere in (or at the ends of) an interval stands to the window [start, end]."""

    start: float
    end: float

    def surely(self, after: float, before: float) -> bool:
        return self.start <= after and before <= self.end

    def perhaps(self, after: float, before: float) -> bool:
        """An interval that only touches the window lies outside: it is open where a tick bounds it."""
        return after < self.end and before > self.start

    def at(self, t: float) -> bool:
        return self.start <= t <= self.end


class Sum:
    """Adds up what surely and what perhaps lies inside a window, with an item of evidence for each."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._least = 0
        self._most = 0
        self._sure = _Items()
        self._perhaps = _Items()

    def add(self, after: float, before: float, least: int, most: int, item: Callable[[], Evidence]) -> None:
        """Between `least` and `most` of something happened in the interval from `after` to `before`."""
        if not self._inside.perhaps(after, before) or not most:
            return
        sure = least if self._inside.surely(after, before) else 0
        self._least += sure
        self._most += most
        (self._sure if sure else self._perhaps).add(item)

    def tally(self) -> Tally:
        doubt = SomeMayCount(count=self._most - self._least) if self._most > self._least else None
        # What is in doubt is what a reader must look at.
        return Tally(self._least, self._most, doubt, joined([self._perhaps.shown, self._sure.shown]))


class _Items:
    """Items of evidence, of which only those that may be shown are made."""

    def __init__(self) -> None:
        self._made: list[Evidence] = []
        self._count = 0

    def add(self, item: Callable[[], Evidence]) -> None:
        self._count += 1
        if len(self._made) < LIMIT:
            self._made.append(item())

    @property
    def shown(self) -> Shown:
        return Shown(tuple(self._made), self._count - len(self._made))


def count_events(
    node: str,
    events: Iterable[Event],
    inside: Inside,
    where: Filter,
    item: Callable[[Event], Evidence],
    *,
    traced: bool = False,
) -> Tally:
    """The events of the node inside the window. `traced`: they are the kernel's, not what its program reports."""
    if where.by_owner:
        return unknown(NotFilterable(node=node, source="trace" if traced else "program"))
    least = most = 0
    items = _Items()
    for event in events:
        if event["node"] != node or not inside.at(event["t"]):
            continue
        matches = where.match(event.get("local"), event.get("peer"), None)
        if matches is not False:
            least += matches is True
            most += 1
            items.add(partial(item, event))
    return Tally(least, most, AddressUnknown() if most > least else None, items.shown)


def add(tallies: Sequence[Tally]) -> Tally:
    """The sum over the nodes of a service."""
    return Tally(
        sum(tally.least for tally in tallies),
        sum(tally.most for tally in tallies),
        next((tally.doubt for tally in tallies if tally.doubt), None),
        joined([tally.evidence for tally in tallies]),
    )
