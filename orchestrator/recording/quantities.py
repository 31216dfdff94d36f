"""Amounts with their units, and instants of a run: what verdicts are made of."""

from __future__ import annotations

import math

from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class Bounds(Data):
    """An amount that lies between two bounds, both included. Equal bounds: it is exactly that."""

    least: int | float
    """The lower bound."""
    most: int | float | None
    """The upper bound; null where nothing bounds it."""
    unit: str
    """`socket`, `connection`, `request`, `segment`, `byte`, `second`, ...: what is counted or measured."""

    @classmethod
    def of(cls, least: float, most: float, unit: str) -> Bounds:
        """Of a range whose open end is infinite."""
        return cls(least, None if math.isinf(most) else most, unit)

    @property
    def top(self) -> float:
        """The upper bound; infinite where nothing bounds it."""
        return math.inf if self.most is None else self.most


@record
class Instant(Data):
    """An instant of the run, and the named moment that it is told by: `load.end + 1s`."""

    name: str
    """The named moment; empty for an instant before the first of them."""
    offset: float
    """Seconds after that moment; negative before it."""
    t: float | None
    """Seconds of the run; null when the run never reached it."""
