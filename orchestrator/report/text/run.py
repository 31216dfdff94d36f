"""A run on one screen of a terminal: the verdict, who closed first, what failed and why, the states over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.report import NotRun, RunReport
from orchestrator.analysis.summary import Group, connection_groups
from orchestrator.recording.verdict import Outcome
from orchestrator.report.text.failures import print_expectation
from orchestrator.report.text.moments import print_moments
from orchestrator.report.text.requests import print_requests
from orchestrator.report.text.terminal import (
    INDENT,
    ORDER,
    STYLES,
    command,
    label,
    label_width,
    labelled,
    lines,
    put,
    shell_path,
    text,
)
from orchestrator.report.words import summaries as words
from orchestrator.report.words.evidence import shown_by
from orchestrator.report.words.notes import notes_of, trouble
from orchestrator.text.numbers import plural

_GROUPS = 12
"""Kinds of connections that are listed; more are not read."""


def render(report: RunReport, console: Console, *, verbose: bool = False) -> None:
    """Print the report. `verbose` adds what shows each first closer, every request, the margins of what passed."""
    _print_headline(report, console)
    _print_story(report, console, verbose=verbose)
    _print_expectations(report, console, verbose=verbose)
    console.print()
    print_moments(report.history, console, listening=verbose)
    if verbose:
        print_requests(report.history, console)
    _print_end(report, console)


def render_summary(reports: Sequence[RunReport], console: Console, not_run: Sequence[NotRun] = ()) -> None:
    """One line per run, what could not be run and what failed first, and the totals."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=max(1, console.width // 3))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    # What is left of the line.
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim", ratio=1)
    for broken in not_run:
        table.add_row(Text("NOT RUN", style="bold red"), text(broken.name), "", "", "", text(broken.reason))
    for report in sorted(reports, key=lambda report: ORDER.index(report.outcome)):
        table.add_row(
            label(report.outcome, loud=True),
            text(report.name),
            Text(f"{report.count(Outcome.PASS)} of {len(report.verdicts)}"),
            Text(f"{report.duration:.1f} s"),
            text(report.runtime),
            text(_worst_sentence(report)),
        )
    put(console, table)
    console.print()
    counts = [(outcome, sum(report.outcome is outcome for report in reports)) for outcome in ORDER]
    words_of = {Outcome.FAIL: "failed", Outcome.UNKNOWN: "unknown", Outcome.PASS: "passed"}
    parts = [
        Text(f"{count} {words_of[outcome]}", style=f"bold {STYLES[outcome]}") for outcome, count in counts if count
    ]
    if not_run:
        parts.insert(0, Text(f"{len(not_run)} not run", style="bold red"))
    line = Text(f"{plural(len(reports) + len(not_run), 'scenario')}: ")
    line.append_text(Text(", ").join(parts))
    line.append(f"  ({sum(report.duration for report in reports):.1f} s)")
    put(console, line)


def expectations_sentence(report: RunReport) -> str:
    """`3 of 3 expectations hold`."""
    total = len(report.verdicts)
    if not total:
        return "nothing was expected: the run only recorded"
    return f"{report.count(Outcome.PASS)} of {plural(total, 'expectation')} hold{'s' if total == 1 else ''}"


def _print_headline(report: RunReport, console: Console) -> None:
    facts = f"{expectations_sentence(report)}  ({report.runtime}, {_took(report)})"
    rows = [(label(report.outcome, loud=True), text(report.name, "bold") + text(f"  {facts}"))]
    if report.title:
        rows.append((Text(), text(report.title)))
    if trouble(report):
        rows.append((Text(), text(trouble(report), "bold")))
    labelled(console, rows, _label_width(report))


def _took(report: RunReport) -> str:
    """`78.3 s`, `78.3 s of virtual time in 2.1 s, 37 to 1`."""
    seconds = f"{report.duration:.1f} s"
    if report.clock != "virtual":
        return seconds
    if not report.wall:
        return f"{seconds} of virtual time"
    return f"{seconds} of virtual time in {report.wall:.1f} s, {report.duration / report.wall:.3g} to 1"


def _label_width(report: RunReport) -> int:
    return label_width([report.outcome, *(verdict.outcome for verdict in report.verdicts)])


def _print_story(report: RunReport, console: Console, *, verbose: bool) -> None:
    groups = connection_groups(report.history)
    shown = groups if verbose else groups[:_GROUPS]
    shown_lines: list[Text] = []
    for group in shown:
        shown_lines.append(text(words.group(group), "bold"))
        if verbose:
            shown_lines += [text(f"  {how} ({count})", "dim") for how, count in _shown_by(group)]
    if len(groups) > len(shown):
        rest = sum(group.count for group in groups[_GROUPS:])
        shown_lines.append(
            Text(f"... and {plural(rest, 'connection')} of {len(groups) - len(shown)} more kinds (--verbose)")
        )
    if not groups:
        shown_lines.append(Text("No connection was seen."))
    shown_lines += [
        text(line) for line in (*words.unobserved_sentences(report.history), *words.request_sentences(report.history))
    ]
    console.print()
    lines(console, shown_lines)


def _shown_by(group: Group) -> list[tuple[str, int]]:
    """What shows who closed first -> connections."""
    shown: Counter[str] = Counter()
    for closing, count in group.closings.items():
        shown[shown_by(closing)] += count
    return shown.most_common()


def _print_expectations(report: RunReport, console: Console, *, verbose: bool) -> None:
    ordered = sorted(report.verdicts, key=lambda verdict: ORDER.index(verdict.outcome))
    for verdict in ordered:
        if verbose or verdict.outcome is not Outcome.PASS:
            console.print()
            print_expectation(report, verdict, console, _label_width(report), verbose=verbose)
    passed = [verdict for verdict in ordered if verdict.outcome is Outcome.PASS]
    if passed and not verbose:
        console.print()
        rows = [(label(verdict.outcome), text(verdict.that)) for verdict in passed]
        labelled(console, rows, _label_width(report))


def _print_end(report: RunReport, console: Console) -> None:
    if notes := notes_of(report):
        console.print()
        lines(console, [text(f"note: {note}") for note in notes])
    if report.folder is not None:
        path = shell_path(report.folder)
        console.print()
        command(console, f"simctl show {path}", "both ends on one timeline", indent=INDENT)
        command(console, f"simctl report {path}", "this report again", indent=INDENT)
        command(console, f"simctl verify {path}", "judge the recording again", indent=INDENT)


def _worst_sentence(report: RunReport) -> str:
    """The first expectation that has the run's outcome, unless it passed."""
    if report.outcome is Outcome.PASS:
        return ""
    return next((v.that for v in report.verdicts if v.outcome is report.outcome), trouble(report))
