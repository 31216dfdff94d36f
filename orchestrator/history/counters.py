"""Readings of the kernel's counters, looked up by time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from operator import itemgetter

from orchestrator.recording.events import TCPEXT_EVERY
from orchestrator.tcp.counters import COUNTERS

Reading = tuple[float, int]
"""Time in seconds, absolute value."""

Series = Mapping[str, Mapping[str, tuple[Reading, ...]]]
"""Node -> counter -> readings in order of time: the first one, then one for each change."""


class Counters:
    """The counters of all nodes. A value stands until the next reading."""

    def __init__(self, series: Series, moments: Iterable[float] = ()) -> None:
        """`moments`: times of the ticks at which all groups were read."""
        self.series = series
        self._moments = sorted(moments)

    def at(self, node: str, name: str, t: float) -> int | None:
        """The last value read at or before `t`; None before the first reading, and for what was never read."""
        readings = self.series.get(node, {}).get(name, ())
        position = bisect_right(readings, t, key=itemgetter(0))
        return readings[position - 1][1] if position else None

    def rise(self, node: str, name: str, after: float, until: float) -> int | None:
        """How much the readings differ; None when one of them is not there."""
        first, last = self.at(node, name, after), self.at(node, name, until)
        return None if first is None or last is None else last - first

    def read_until(self, name: str, tick: float) -> float:
        """Until when at least what happened is in the value that stands at a tick: some are read at few ticks only."""
        if name not in COUNTERS["TcpExt"]:
            return tick
        position = bisect_right(self._moments, tick)
        return max(tick - TCPEXT_EVERY, self._moments[position - 1] if position else 0.0)
