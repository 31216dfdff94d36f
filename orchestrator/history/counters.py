"""Readings of the kernel's counters, looked up by time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from operator import itemgetter

Reading = tuple[float, int]
"""Time in seconds, absolute value."""

Series = Mapping[str, Mapping[str, tuple[Reading, ...]]]
"""Node -> counter -> readings in order of time: the first one, then one for each change."""


class Counters:
    """The counters of all nodes. A value stands until the next reading."""

    def __init__(self, series: Series) -> None:
        self.series = series

    def at(self, node: str, name: str, t: float) -> int | None:
        """The last value read at or before `t`; None before the first reading, and for what was never read."""
        readings = self.series.get(node, {}).get(name, ())
        position = bisect_right(readings, t, key=itemgetter(0))
        return readings[position - 1][1] if position else None

    def rise(self, node: str, name: str, after: float, until: float) -> int | None:
        """How much the readings differ; None when one of them is not there."""
        first, last = self.at(node, name, after), self.at(node, name, until)
        return None if first is None or last is None else last - first
