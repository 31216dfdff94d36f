"""Runs of one scenario with different seeds as one JSON document. docs/virtual-time.md describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from orchestrator.analysis.compare.seeds import ExpectationVariation, FactVariation, OutcomesBySeed, SeedVariation
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import Outcome, When
from orchestrator.report.words import quantities as words
from orchestrator.report.words.seeds import extremes
from orchestrator.report.words.verdicts import found as found_words
from orchestrator.text.jsondata import Data, Json, plain
from orchestrator.text.record import record

SCHEMA = 2

Counts = Mapping[Outcome, int]


@record
class FoundDocument(Data):
    """What some of the runs found."""

    value: Bounds | None
    """The value; null where it is not known, or there was nothing that the fact speaks of."""
    words: str
    """The same for people: `2`, `60.2s..61s`, `none`, `unknown`."""
    seeds: tuple[int, ...]
    """The runs that found it."""


@record
class FactVariationDocument(Data):
    """One fact of one node in all runs."""

    node: str
    """The node or service."""
    fact: str
    """Name of the fact."""
    part: str | None
    """Which of several of that name; null where there is one only."""
    expected: Bounds
    """The range that the scenario gives."""
    outcomes: Counts
    """How many runs ended how."""
    extremes: Bounds | None
    """From the lowest to the highest value; null where a run found no number."""
    actual: tuple[FoundDocument, ...]
    """What was found, each once."""
    words: Mapping[str, str]
    """`expected` and `extremes` for people."""


@record
class ExpectationVariationDocument(Data):
    """One expectation in all runs."""

    that: str
    """The expectation's sentence."""
    when: When
    """When it was asked; times are those of the first run."""
    outcomes: Counts
    """How many runs ended how."""
    flaky: bool
    """Whether they did not all end alike."""
    facts: tuple[FactVariationDocument, ...]
    """Its facts."""
    words: str
    """`when` for people."""


@record
class SeedRun(Data):
    """One run."""

    seed: int
    """Its seed."""
    outcome: Outcome
    """How it ended."""
    duration: float
    """Its length, seconds."""
    wall: float | None
    """How long it really took, seconds; null when nobody wrote it down."""
    folder: str | None
    """The run's folder."""


@record
class SeedNotRun(Data):
    """One run that could not be made."""

    seed: int
    """Its seed."""
    reason: str
    """Why, in one line."""


@record
class SeedsDocument(Data):
    """One scenario's runs with different seeds."""

    schema: int
    """Version of this format."""
    scenario: str
    """Name of the scenario."""
    title: str
    """Its one line."""
    outcomes: Counts
    """How many runs ended how."""
    expectations: tuple[ExpectationVariationDocument, ...]
    """In the order of the scenario."""
    runs: tuple[SeedRun, ...]
    """Each run."""
    not_run: tuple[SeedNotRun, ...]
    """Those that could not be made."""


def render(variations: Sequence[SeedVariation]) -> str:
    """A list of documents, one per scenario."""
    return json.dumps([to_json(variation) for variation in variations], indent=1, allow_nan=False)


def to_json(variation: SeedVariation) -> Json:
    """One document as plain data."""
    made: Json = plain(document(variation), digits=6)
    return made


def document(variation: SeedVariation) -> SeedsDocument:
    """The same as data."""
    return SeedsDocument(
        schema=SCHEMA,
        scenario=variation.scenario,
        title=variation.title,
        outcomes=_counts(variation.tally),
        expectations=tuple(map(_expectation, variation.expectations)),
        runs=tuple(
            SeedRun(
                seed,
                report.outcome,
                report.duration,
                report.wall,
                None if report.folder is None else str(report.folder),
            )
            for seed, report in variation.reports.items()
        ),
        not_run=tuple(SeedNotRun(seed, reason) for seed, reason in variation.not_run.items()),
    )


def _expectation(expectation: ExpectationVariation) -> ExpectationVariationDocument:
    return ExpectationVariationDocument(
        that=expectation.that,
        when=expectation.when,
        outcomes=_counts(expectation.tally),
        flaky=expectation.tally.flaky,
        facts=tuple(map(_fact, expectation.facts)),
        words=words.when(expectation.when),
    )


def _fact(fact: FactVariation) -> FactVariationDocument:
    return FactVariationDocument(
        node=fact.node,
        fact=fact.fact,
        part=fact.part,
        expected=fact.expected,
        outcomes=_counts(fact.tally),
        extremes=fact.extremes,
        actual=tuple(
            FoundDocument(found.verdict.actual, found_words(found.verdict), found.seeds) for found in fact.found
        ),
        words={"expected": words.expected(fact.expected), "extremes": extremes(fact)},
    )


def _counts(tally: OutcomesBySeed) -> Counts:
    return {outcome: tally.count(outcome) for outcome in Outcome}
