"""When an expectation is asked: named moments as times, and times as words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.history.model import History
from orchestrator.scenario.model import Expectation
from orchestrator.scenario.values import Moment, Window
from orchestrator.text.durations import at, format_duration


@dataclass(frozen=True, slots=True)
class Asked:
    """The *when* of an expectation in seconds. `name` is empty when none was given; then facts have defaults.

    `instant` is where gauges and queues are read, [start, end] what counters and durations cover and what `always`
    and `eventually` quantify over. `problem` says why the times could not be told.
    """

    name: str
    text: str
    instant: float = 0.0
    start: float = 0.0
    end: float = 0.0
    problem: str = ""


def asked(expectation: Expectation, history: History) -> Asked:
    """Resolve the *when*. Without one: the moment `end`, and the run from `start` to `end`."""
    when = expectation.when
    name = when[0] if when else ""
    value = when[1] if when else Moment(None, "end")
    if isinstance(value, Window):
        first, last, text = value.start, value.end, f"{name} {value}"
        if expectation.for_ is not None:
            text += f" for {format_duration(expectation.for_)}"
    else:
        first, last, text = Moment(None, "start"), value, f"at {value}"
    missing = [str(moment) for moment in (first, last) if moment.name not in history.moments]
    if missing:
        return Asked(name, text, problem=f"the run never reached {missing[0]}{_how_it_ended(history)}")
    start, end = _time(first, history.moments), _time(last, history.moments)
    if start > end:
        return Asked(name, text, problem=f"the window is empty: {first} ({at(start)}) is after {last} ({at(end)})")
    return Asked(name, text, end, start, end)


def _time(moment: Moment, moments: Mapping[str, float]) -> float:
    t = moments[moment.name]
    return round(t + moment.offset, 9) if moment.offset else t


def _how_it_ended(history: History) -> str:
    outcome = history.end.get("outcome", "interrupted")
    detail = history.end.get("detail") or ""
    how = {"interrupted": ": it was interrupted", "failed": ": it failed"}.get(outcome, "")
    return f"{how} ({detail})" if how and detail else how


class Landmarks:
    """Says where an instant is, by the nearest named moment before it: `idle.end + 1.2s`."""

    def __init__(self, moments: Mapping[str, float]) -> None:
        # Of several moments at one time the end of a step is named rather than the start of the next.
        ordered = sorted(moments.items(), key=lambda item: (item[1], item[0].endswith("end")))
        self._times = [t for _, t in ordered]
        self._names = [name for name, _ in ordered]

    def name(self, t: float) -> str:
        position = bisect_right(self._times, t)
        if not position:
            return at(t)
        rest = round(t - self._times[position - 1], 3)
        name = self._names[position - 1]
        return f"{name} + {format_duration(rest)}" if rest > 0 else name
