"""How runs with different seeds vary, on one screen of a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from orchestrator.analysis.compare.seeds import ExpectationVariation, OutcomesBySeed, Seeds, SeedVariation
from orchestrator.recording.verdict import Outcome
from orchestrator.report.text.terminal import (
    INDENT,
    ORDER,
    STYLES,
    command,
    label,
    label_width,
    labelled,
    lines,
    listing,
    put,
    shell_path,
    text,
)
from orchestrator.report.words import quantities as words
from orchestrator.report.words.seeds import extremes
from orchestrator.text.numbers import plural

_SEEDS = 8
"""Seeds that are named; of more the first ones do."""

_BODY = 6
"""Indentation of what stands below an expectation."""


def render(variation: SeedVariation, console: Console) -> None:
    """Print which expectations are flaky, how far what was found varies, and a run to look at."""
    _print_headline(variation, console)
    expectations = variation.expectations
    if expectations:
        console.print()
    width = max((_outcomes(expectation.tally).cell_len for expectation in expectations), default=0)
    for expectation in expectations:
        _print_expectation(expectation, console, width)
    console.print()
    for seed, reason in variation.not_run.items():
        lines(console, [text(f"seed {seed} could not be run: {reason}", "bold red")])
    _print_commands(variation, console)


def _print_headline(variation: SeedVariation, console: Console) -> None:
    runs = plural(len(variation.reports) + len(variation.not_run), "run")
    flaky = sum(expectation.tally.flaky for expectation in variation.expectations)
    total = len(variation.expectations)
    found = f"{plural(flaky, 'expectation')} of {total} {'is' if flaky == 1 else 'are'} flaky: the seed decides"
    name = text(variation.scenario, "bold") + Text(f"  {runs} with different seeds: ") + _runs(variation)
    worst = Outcome.worst([report.outcome for report in variation.reports.values()])
    rows = [(label(worst, loud=True), name), (Text(), text(variation.title)), (Text(), Text(found, style="bold"))]
    labelled(console, [row for row in rows if row[1]], label_width([worst]))


def _runs(variation: SeedVariation) -> Text:
    """`3 pass, 1 fail, 1 not run`."""
    counted = _outcomes(variation.tally)
    return counted + Text(f", {len(variation.not_run)} not run", "red") if variation.not_run else counted


def _print_expectation(expectation: ExpectationVariation, console: Console, width: int) -> None:
    """`width`: of the column of counts."""
    labelled(console, [(_outcomes(expectation.tally), text(expectation.that, "bold"))], width)
    if set(expectation.tally.seeds) == {Outcome.PASS}:
        return
    put(console, text(words.when(expectation.when)), indent=_BODY)
    rows = [
        [
            *map(text, (fact.node, fact.found[0].verdict.label, words.expected(fact.expected), extremes(fact))),
            _outcomes(fact.tally),
        ]
        for fact in expectation.facts
        if set(fact.tally.seeds) != {Outcome.PASS}
    ]
    if rows:
        put(console, listing(console.width - _BODY, ["node", "fact", "expected", "actual", ""], rows), indent=_BODY)
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        if seeds := expectation.tally.seeds.get(outcome):
            put(console, Text(f"{outcome.value} with seed {_named(seeds)}"), indent=_BODY)


def _outcomes(tally: OutcomesBySeed) -> Text:
    counted = [(tally.count(which), which) for which in (Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN)]
    return Text(", ").join(Text(f"{count} {which.value}", STYLES[which]) for count, which in counted if count)


def _named(seeds: Seeds) -> str:
    shown = ", ".join(map(str, seeds[:_SEEDS]))
    return shown if len(seeds) <= _SEEDS else f"{shown} and {len(seeds) - _SEEDS} more"


def _print_commands(variation: SeedVariation, console: Console) -> None:
    """How to look at one run of each kind."""
    for outcome in ORDER:
        seeds = variation.tally.seeds.get(outcome)
        folder = variation.reports[seeds[0]].folder if seeds else None
        if seeds and folder is not None:
            note = f"{outcome.value}, seed {seeds[0]}"
            command(console, f"simctl report {shell_path(folder)}", note, indent=INDENT)
