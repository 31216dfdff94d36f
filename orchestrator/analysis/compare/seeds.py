"""What several runs of one scenario with different seeds say together: which expectations are flaky, and how much.

Pure: from verdicts to data. A seed changes nothing that a scenario may rely on, so an expectation that some seeds pass
and others fail is flaky.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.report import EXIT_CODES, RunReport
from orchestrator.exitcodes import ExitCode
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.text.durations import parse_duration

SCHEMA = 1

Json = dict[str, Any]
Seeds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcome -> the seeds that had it, ascending; an outcome that none had is not there."""

    seeds: Mapping[Outcome, Seeds]

    def count(self, outcome: Outcome) -> int:
        return len(self.seeds.get(outcome, ()))

    @property
    def flaky(self) -> bool:
        return len(self.seeds) > 1


@dataclass(frozen=True, slots=True)
class FactVariation:
    """One fact of one node in all runs."""

    node: str
    fact: str
    expected: str
    tally: Tally
    actual: Mapping[str, Seeds]
    """What was found -> the seeds with which it was, from the lowest to the highest where these are numbers."""

    @property
    def extremes(self) -> str:
        """`1`, `60.2s..62.1s`: from the lowest to the highest; every text where these are no numbers."""
        found = [_span(text) for text in self.actual]
        if any(span is None for span in found):
            return ", ".join(self.actual)
        low = min((span for span in found if span), key=lambda span: span.low)
        high = max((span for span in found if span), key=lambda span: span.high)
        return low.low_text if low.low == high.high else f"{low.low_text}..{high.high_text}"


@dataclass(frozen=True, slots=True)
class ExpectationVariation:
    """One expectation in all runs."""

    that: str
    when: str
    tally: Tally
    facts: tuple[FactVariation, ...]


@dataclass(frozen=True, slots=True)
class SeedVariation:
    """One scenario's runs: seed -> report, and seed -> why there is none."""

    scenario: str
    title: str
    reports: Mapping[int, RunReport]
    not_run: Mapping[int, str] = field(default_factory=dict)

    @property
    def tally(self) -> Tally:
        return _tally({seed: report.outcome for seed, report in self.reports.items()})

    @property
    def expectations(self) -> list[ExpectationVariation]:
        """In the scenario's order."""
        by_place = zip(*(report.verdicts for report in self.reports.values()), strict=True)
        return [_expectation(dict(zip(self.reports, verdicts, strict=True))) for verdicts in by_place]

    @property
    def exit_code(self) -> ExitCode:
        """That of the worst report."""
        return EXIT_CODES[Outcome.worst([report.outcome for report in self.reports.values()])]


def to_json(variation: SeedVariation) -> Json:
    """The document that docs/virtual-time.md describes."""
    return {
        "schema": SCHEMA,
        "scenario": variation.scenario,
        "title": variation.title,
        "outcomes": _counts(variation.tally),
        "expectations": [
            {
                "that": expectation.that,
                "when": expectation.when,
                "outcomes": _counts(expectation.tally),
                "flaky": expectation.tally.flaky,
                "facts": [
                    {
                        "node": fact.node,
                        "fact": fact.fact,
                        "expected": fact.expected,
                        "outcomes": _counts(fact.tally),
                        "extremes": fact.extremes,
                        "actual": [{"value": value, "seeds": list(seeds)} for value, seeds in fact.actual.items()],
                    }
                    for fact in expectation.facts
                ],
            }
            for expectation in variation.expectations
        ],
        "runs": [
            {
                "seed": seed,
                "outcome": report.outcome.value,
                "duration": report.duration,
                "wall": report.wall,
                "folder": None if report.folder is None else str(report.folder),
            }
            for seed, report in variation.reports.items()
        ],
        "not_run": [{"seed": seed, "reason": reason} for seed, reason in variation.not_run.items()],
    }


def _counts(tally: Tally) -> Json:
    return {outcome.value: tally.count(outcome) for outcome in Outcome}


def _tally(outcomes: Mapping[int, Outcome]) -> Tally:
    return Tally({outcome: seeds for outcome in Outcome if (seeds := _having(outcomes, outcome))})


def _having(values: Mapping[int, Any], value: object) -> Seeds:
    return tuple(seed for seed in sorted(values) if values[seed] == value)


def _expectation(verdicts: Mapping[int, Verdict]) -> ExpectationVariation:
    first = next(iter(verdicts.values()))
    # One verdict may speak of fewer facts than another: of a node that was gone, say.
    facts: dict[tuple[str, str, str], dict[int, FactVerdict]] = {}
    for seed, verdict in verdicts.items():
        for fact in verdict.facts:
            facts.setdefault((fact.node, fact.fact, fact.expected), {})[seed] = fact
    tally = _tally({seed: verdict.outcome for seed, verdict in verdicts.items()})
    return ExpectationVariation(first.that, first.when, tally, tuple(_fact(key, found) for key, found in facts.items()))


def _fact(key: tuple[str, str, str], found: Mapping[int, FactVerdict]) -> FactVariation:
    values = {seed: fact.actual for seed, fact in found.items()}
    spans = {text: _span(text) for text in values.values()}
    order = sorted(
        dict.fromkeys(values.values()), key=lambda text: (span.low, span.high) if (span := spans[text]) else (0, 0)
    )
    return FactVariation(
        *key,
        tally=_tally({seed: fact.outcome for seed, fact in found.items()}),
        actual={text: _having(values, text) for text in order},
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """Both ends of `2..3` or `60.1s`, as numbers and as they were written."""

    low: float
    high: float
    low_text: str
    high_text: str


def _span(text: str) -> _Span | None:
    """None for what is not one number, duration, or range of them; the range may be open above."""
    ends: Sequence[str] = text.split("..")
    try:
        numbers = [_number(end) if end else math.inf for end in ends]
    except ValueError:
        return None
    return _Span(numbers[0], numbers[-1], ends[0], ends[-1]) if len(numbers) <= 2 else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return parse_duration(text)
