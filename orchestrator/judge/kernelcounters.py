"""The rise of a kernel counter over a window."""

from __future__ import annotations

import math

from orchestrator.history.index import Index
from orchestrator.judge.evidence import Shown
from orchestrator.judge.filter import Filter
from orchestrator.judge.tally import Inside, Tally, unknown
from orchestrator.recording.causes import CounterBetweenReadings, CounterUnread, NotFilterable
from orchestrator.recording.evidence import CounterRead


def kernel_counter(index: Index, node: str, name: str, inside: Inside, where: Filter) -> Tally:
    """By how much the counter `name` (of tcp.counters.COUNTERS) rose. Between two readings its value lies between
    theirs."""
    if not where.everything:
        return unknown(NotFilterable(node=node, source="counter", counter=name))
    start, end = _reading(index, node, name, inside.start), _reading(index, node, name, inside.end)
    if start is None or end is None:
        return unknown(CounterUnread(node=node, counter=name))
    least, most = max(0, end[0] - start[1]), max(0, end[1] - start[0])
    doubt = None if least == most else CounterBetweenReadings(counter=name, start=inside.start, end=inside.end)
    read = CounterRead(node=node, name=name, start=inside.start, first=start[0], end=inside.end, last=end[1])
    return Tally(least, most, doubt, Shown((read,)))


def _reading(index: Index, node: str, name: str, t: float) -> tuple[int, int] | None:
    """The counter at `t`, at least and at most; None when it was never read."""
    ticks = index.ticks(node)
    if not ticks.times:
        return None
    # Outside of the samples the nearest reading stands for the part of the window inside them.
    t = min(max(t, ticks.times[0]), ticks.times[-1])
    upper = ticks.from_(t)
    lower = t if upper == t else ticks.before(t)
    while upper is not None and index.counters.read_until(name, upper) < t:
        upper = ticks.from_(math.nextafter(upper, math.inf))  # this tick did not read it
    assert lower is not None
    if upper is None:
        return None
    least, most = index.counters.at(node, name, lower), index.counters.at(node, name, upper)
    return None if least is None or most is None else (least, most)
