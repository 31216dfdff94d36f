"""Timing in turn: A, B, A, B, ... and the ratio pair by pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

SMALLEST = 1
"""Rounds where nobody reads the numbers: a benchmark that still works."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians in seconds, and the median of the ratios ours / theirs."""

    name: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    goal: float
    rounds: int

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def compare(
    name: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object], *, goal: float, rounds: int = 3
) -> Comparison:
    """Run both in turn; the first pair is a warm-up and does not count, but where it would be as many as do."""
    if rounds > SMALLEST:
        seconds(ours)
        seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return compare_pairs(name, peer, pairs, goal=goal)


def compare_pairs(name: str, peer: str, pairs: list[tuple[float, float]], *, goal: float) -> Comparison:
    """The same from pairs (ours, theirs) that were measured elsewhere."""
    return Comparison(
        name=name,
        ours=statistics.median(ours for ours, _ in pairs),
        peer=peer,
        theirs=statistics.median(theirs for _, theirs in pairs),
        ratio=statistics.median(ours / theirs for ours, theirs in pairs),
        goal=goal,
        rounds=len(pairs),
    )
