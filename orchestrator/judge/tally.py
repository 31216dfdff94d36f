"""What adds up over a window, with bounds: what surely happened inside, and what may have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.recording.verdict import FactVerdict, Outcome
from orchestrator.scenario.values import Range
from orchestrator.text.numbers import number, plural


@dataclass(frozen=True, slots=True)
class Tally:
    """Between `least` and `most` things were counted. `doubt` says why the two differ."""

    least: int = 0
    most: float = 0
    doubt: str = ""
    evidence: tuple[str, ...] = ()

    def verdict(self, node: str, fact: str, noun: str, expected: Range) -> FactVerdict:
        """The count beside the range that was expected."""
        outcome = self.outcome(expected)
        actual = number(self.least, self.most)
        reason = ""
        if outcome is Outcome.FAIL:
            reason = f"{plural(actual, noun)} on {node}, expected {expected}"
        elif outcome is Outcome.UNKNOWN:
            reason = self.doubt
        margin = self._margin(noun, expected) if outcome is Outcome.PASS else ""
        return FactVerdict(node, fact, str(expected), actual, outcome, reason, "", margin, self.evidence)

    def outcome(self, expected: Range) -> Outcome:
        if expected.low <= self.least and self.most <= expected.high:
            return Outcome.PASS
        if self.most < expected.low or self.least > expected.high:
            return Outcome.FAIL
        return Outcome.UNKNOWN

    def _margin(self, noun: str, expected: Range) -> str:
        below = self.least - expected.low + 1 if expected.low > 0 else math.inf
        nearest = min(below, expected.high - self.most + 1)
        return "" if nearest == math.inf else plural(f"{nearest:.0f}", noun)


def unknown(doubt: str) -> Tally:
    """Nothing can be said."""
    return Tally(0, math.inf, doubt)


@dataclass(frozen=True, slots=True)
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


def add(tallies: Sequence[Tally]) -> Tally:
    """The sum over the nodes of a service."""
    return Tally(
        sum(tally.least for tally in tallies),
        sum(tally.most for tally in tallies),
        next((tally.doubt for tally in tallies if tally.doubt), ""),
        tuple(line for tally in tallies for line in tally.evidence),
    )
