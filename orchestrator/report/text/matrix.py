"""A matrix on a terminal: the table, what did not pass and why, and where to look further."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from orchestrator.analysis.compare.matrix import Matrix
from orchestrator.analysis.hops import Hop, hops
from orchestrator.analysis.report import RunReport
from orchestrator.recording.verdict import Outcome
from orchestrator.report.text.failures import print_expectation
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
from orchestrator.report.words.matrix import HEADERS, columns
from orchestrator.report.words.notes import trouble
from orchestrator.scenario.matrix import label as cell_label
from orchestrator.text.numbers import plural


def render(matrix: Matrix, console: Console) -> None:
    """Print the table, then every expectation that did not hold, with the run in which it did not."""
    _print_headline(matrix, console)
    console.print()
    if matrix.reports:
        _print_table(matrix, console)
    wrong = [report for report in matrix.reports if report.outcome is not Outcome.PASS or trouble(report)]
    for report in sorted(wrong, key=lambda report: ORDER.index(report.outcome)):
        _print_wrong(report, console)
    if matrix.broken:
        console.print()
    for broken in matrix.broken:
        told = text(f"{cell_label(broken.cell)} could not be run: {broken.reason}", "bold red")
        lines(console, [told])
    if len(wrong) < len(matrix.reports):
        _print_command(matrix, console)


def _print_headline(matrix: Matrix, console: Console) -> None:
    counts = [(outcome, sum(report.outcome is outcome for report in matrix.reports)) for outcome in ORDER]
    parts = [Text(f"{count} {outcome.value}", f"bold {STYLES[outcome]}") for outcome, count in counts if count]
    if matrix.broken:
        parts.insert(0, Text(f"{len(matrix.broken)} not run", "bold red"))
    runs = Text(f"  {plural(len(matrix.results), 'run')}: ") + Text(", ").join(parts)
    seconds = sum(report.duration for report in matrix.reports)
    if matrix.reports:
        clock = " of virtual time" if matrix.reports[0].clock == "virtual" else ""
        runs += Text(f"  ({matrix.reports[0].runtime}; the runs add up to {seconds:.1f} s{clock})")
    rows = [(Text(), text(matrix.scenario, "bold") + runs), (Text(), text(matrix.title))]
    labelled(console, [row for row in rows if row[1]], 0)


def _print_table(matrix: Matrix, console: Console) -> None:
    shown = [(report, list(_shown(report))) for report in matrix.reports]
    several = any(len(found) > 1 for _, found in shown)
    headers = [*matrix.variables, *(["hop"] if several else []), "", *HEADERS]
    rows: list[list[Text]] = []
    for report, found in shown:
        for place, hop in enumerate(found):
            first = place == 0
            row = [text(value if first else "") for value in report.cell.values()]
            row += [text(f"{hop.client} -> {hop.server}")] if several else []
            row += [_outcome(report) if first else Text(), *map(text, columns(hop))]
            rows.append(row)
    put(console, listing(console.width, headers, rows, flexible=HEADERS))


def _shown(report: RunReport) -> Iterator[Hop]:
    """A run without any connection has its row too."""
    found = hops(report.history)
    yield from found or [Hop("", "")]


def _outcome(report: RunReport) -> Text:
    held = f" {report.count(Outcome.PASS)}/{len(report.verdicts)}" if report.verdicts else ""
    return label(report.outcome) + Text(held)


def _print_wrong(report: RunReport, console: Console) -> None:
    console.print()
    rows = [(label(report.outcome, loud=True), text(cell_label(report.cell), "bold") + text(f"  {trouble(report)}"))]
    width = label_width([report.outcome])
    labelled(console, rows, width)
    for verdict in report.verdicts:
        if verdict.outcome is not Outcome.PASS:
            print_expectation(report, verdict, console, width, verbose=False)
    if report.folder is not None:
        command(console, f"simctl report {shell_path(report.folder)}", "the whole report", indent=INDENT)


def _print_command(matrix: Matrix, console: Console) -> None:
    report = next(report for report in matrix.reports if report.outcome is Outcome.PASS)
    if report.folder is not None:
        console.print()
        command(
            console, f"simctl show {shell_path(report.folder)}", f"{cell_label(report.cell)}: both ends", indent=INDENT
        )
