"""When an expectation is asked: named moments as times, and times by the named moment before them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from orchestrator.history.model import History
from orchestrator.recording.causes import EmptyWindow, NeverReached
from orchestrator.recording.quantities import Instant
from orchestrator.recording.verdict import When, WhenKind
from orchestrator.scenario.model import Expectation
from orchestrator.scenario.values import Moment, Window
from orchestrator.text.record import record


@record
class Asked:
    """The *when* of an expectation in seconds. `given`: the scenario says when; else facts have defaults.

    `instant` is where gauges and queues are read, [start, end] what counters and durations cover and what `always`
    and `eventually` quantify over. `problem` says why the times could not be told.
    """

    when: When
    given: bool
    instant: float = 0.0
    start: float = 0.0
    end: float = 0.0
    problem: NeverReached | EmptyWindow | None = None

    @property
    def whole_run(self) -> When:
        """What counters are asked of where the scenario says nothing."""
        return When(WhenKind.OVER, self.when.end, Instant("start", 0, self.start if self.problem is None else None))


def asked(expectation: Expectation, history: History) -> Asked:
    """Resolve the *when*. Without one: the moment `end`, and the run from `start` to `end`."""
    name, value = expectation.when or ("at", Moment(None, "end"))
    window = value if isinstance(value, Window) else None
    first, last = (window.start, window.end) if window else (Moment(None, "start"), value)
    assert isinstance(last, Moment)
    start, end = resolve(first, history.moments), resolve(last, history.moments)
    when = When(WhenKind(name), end, start if window else None, expectation.for_)
    given = expectation.when is not None
    missing = next((moment for moment in (start, end) if moment.t is None), None)
    if missing is not None:
        return Asked(when, given, problem=_never_reached(missing, history))
    assert start.t is not None and end.t is not None
    if start.t > end.t:
        return Asked(when, given, problem=EmptyWindow(start=start, end=end))
    return Asked(when, given, end.t, start.t, end.t)


def resolve(moment: Moment, moments: Mapping[str, float]) -> Instant:
    """The moment as an instant of the run."""
    t = moments.get(moment.name)
    if t is not None and moment.offset:
        t = round(t + moment.offset, 9)
    return Instant(moment.name, moment.offset, t)


def _never_reached(moment: Instant, history: History) -> NeverReached:
    outcome = str(history.end.get("outcome", "interrupted"))
    return NeverReached(moment=moment, run=outcome, detail=str(history.end.get("detail") or ""))


class Landmarks:
    """Says where an instant is, by the nearest named moment before it: `idle.end + 1.2s`."""

    def __init__(self, moments: Mapping[str, float]) -> None:
        # Of several moments at one time the end of a step is named rather than the start of the next.
        ordered = sorted(moments.items(), key=lambda item: (item[1], item[0].endswith("end")))
        self._times = [t for _, t in ordered]
        self._names = [name for name, _ in ordered]

    def instant(self, t: float) -> Instant:
        """The instant by its moment; without a name when it lies before the first."""
        position = bisect_right(self._times, t)
        if not position:
            return Instant("", t, t)
        return Instant(self._names[position - 1], round(t - self._times[position - 1], 9), t)
