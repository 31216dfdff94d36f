"""What several runs of one scenario with different seeds say together: which expectations are flaky, and how much.

Pure: from verdicts to data. A seed changes nothing that a scenario may rely on, so an expectation that some seeds pass
and others fail is flaky.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from orchestrator.analysis.report import EXIT_CODES, RunReport
from orchestrator.exitcodes import ExitCode
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict, When
from orchestrator.text.record import record

Seeds = tuple[int, ...]


@record
class OutcomesBySeed:
    """Outcome -> the seeds that had it, ascending; an outcome that none had is not there."""

    seeds: Mapping[Outcome, Seeds]

    def count(self, outcome: Outcome) -> int:
        return len(self.seeds.get(outcome, ()))

    @property
    def flaky(self) -> bool:
        return len(self.seeds) > 1


@record
class Found:
    """What several runs found alike: the verdict of one of them stands for all, and the seeds of all."""

    verdict: FactVerdict
    seeds: Seeds


@record
class FactVariation:
    """One fact of one node in all runs."""

    node: str
    fact: str
    part: str | None
    expected: Bounds
    tally: OutcomesBySeed
    found: tuple[Found, ...]
    """What was found, each once: from the lowest to the highest, then what is no number."""

    @property
    def extremes(self) -> Bounds | None:
        """From the lowest to the highest that was found; None where a run found no number."""
        values = [found.verdict.actual for found in self.found]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        return Bounds.of(min(value.least for value in known), max(value.top for value in known), self.expected.unit)


@record
class ExpectationVariation:
    """One expectation in all runs."""

    that: str
    when: When
    """As in the first of the runs; the others have the same moments at other times."""
    tally: OutcomesBySeed
    facts: tuple[FactVariation, ...]


@record
class SeedVariation:
    """One scenario's runs: seed -> report, and seed -> why there is none."""

    scenario: str
    title: str
    reports: Mapping[int, RunReport]
    not_run: Mapping[int, str] = field(default_factory=dict)

    @property
    def tally(self) -> OutcomesBySeed:
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


def _tally(outcomes: Mapping[int, Outcome]) -> OutcomesBySeed:
    return OutcomesBySeed({outcome: seeds for outcome in Outcome if (seeds := _having(outcomes, outcome))})


def _having(values: Mapping[int, Any], value: object) -> Seeds:
    return tuple(seed for seed in sorted(values) if values[seed] == value)


def _expectation(verdicts: Mapping[int, Verdict]) -> ExpectationVariation:
    first = next(iter(verdicts.values()))
    # One verdict may speak of fewer facts than another: of a node that was gone, say.
    facts: dict[_Key, dict[int, FactVerdict]] = {}
    for seed, verdict in verdicts.items():
        for fact in verdict.facts:
            facts.setdefault((fact.node, fact.fact, fact.part, fact.expected), {})[seed] = fact
    tally = _tally({seed: verdict.outcome for seed, verdict in verdicts.items()})
    return ExpectationVariation(first.that, first.when, tally, tuple(_fact(key, found) for key, found in facts.items()))


_Key = tuple[str, str, str | None, Bounds]
"""Node, fact, part, what was expected."""


def _fact(key: _Key, verdicts: Mapping[int, FactVerdict]) -> FactVariation:
    alike: dict[tuple[Bounds | None, bool], list[int]] = {}
    for seed in sorted(verdicts):
        alike.setdefault((verdicts[seed].actual, verdicts[seed].matched_nothing), []).append(seed)
    found = [Found(verdicts[seeds[0]], tuple(seeds)) for seeds in alike.values()]
    return FactVariation(
        *key,
        tally=_tally({seed: fact.outcome for seed, fact in verdicts.items()}),
        found=tuple(sorted(found, key=_order)),
    )


def _order(found: Found) -> tuple[float, float]:
    actual = found.verdict.actual
    return (math.inf, math.inf) if actual is None else (actual.least, actual.top)
