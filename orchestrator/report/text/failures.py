"""An expectation that does not hold: expected beside actual, the nearest moment, the evidence, the ss to look at."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.report import RunReport
from orchestrator.history.model import History
from orchestrator.recording.folder import SS
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict, When, WhenKind
from orchestrator.report.text.terminal import ORDER, command, label, labelled, lines, listing, put, shell_path, text
from orchestrator.report.words.quantities import when
from orchestrator.report.words.reasons import names_its_fact
from orchestrator.report.words.verdicts import of_fact
from orchestrator.text.durations import at

_BODY = 6
"""Indentation of what stands below an expectation; evidence, two further in, still fits into 80 columns."""

_EVIDENCE = 4
"""Lines of evidence that make the point; `--verbose` shows all."""


def print_expectation(report: RunReport, verdict: Verdict, console: Console, width: int, *, verbose: bool) -> None:
    """One expectation with all its facts; those that do not hold are explained. `width`: of the column of labels."""
    rows = [(label(verdict.outcome), text(verdict.that, "bold")), (Text(), _when(verdict))]
    labelled(console, rows, width)
    facts = sorted(verdict.facts, key=lambda fact: ORDER.index(fact.outcome))
    if facts:
        console.print()
        put(console, _fact_table(facts, console.width - _BODY), indent=_BODY)
    seen: set[str] = set()  # nodes whose command was named
    for alike in _alike(facts):
        _explain(alike, console, verbose=verbose)
        for node in dict.fromkeys(fact.node for fact in alike):
            for line, note in _to_see(report, verdict, node) if node not in seen else ():
                command(console, line, note, indent=_BODY + 2)
            seen.add(node)


def _when(verdict: Verdict) -> Text:
    """`at idle.end (8.43s)`; of a window its ends, and the instant that decided."""
    seconds = "" if verdict.at is None else at(verdict.at)
    if verdict.when.kind is not WhenKind.AT:
        seconds = f"decided at {seconds}" if seconds else ""
        if window := _window(verdict.when):
            seconds = f"{at(window[0])} .. {at(window[1])}" + (f", {seconds}" if seconds else "")
    return text(when(verdict.when)) + text(f" ({seconds})" if seconds else "")


def _window(asked: When) -> tuple[float, float] | None:
    """The ends of a window in seconds; None when the run never reached one of them."""
    if asked.start is None or asked.start.t is None or asked.end.t is None:
        return None
    return asked.start.t, asked.end.t


def _fact_table(facts: list[FactVerdict], width: int) -> Table:
    headers = ["node", "fact", "expected", "actual", "", "margin"]
    rows = [
        [
            *(text(cell) for cell in (fact.node, told.fact, told.expected, told.actual)),
            label(fact.outcome),
            text(told.margin),
        ]
        for fact, told in ((fact, of_fact(fact)) for fact in facts)
    ]
    if not any(fact.margin for fact in facts):
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    return listing(width, headers, rows, flexible=["margin"])


def _alike(facts: list[FactVerdict]) -> list[list[FactVerdict]]:
    """The facts that do not hold; those with the same explanation stand together."""
    found: dict[tuple[str, str, tuple[str, ...]], list[FactVerdict]] = {}
    for fact in facts:
        if fact.outcome is not Outcome.PASS:
            told = of_fact(fact)
            found.setdefault((told.reason, told.nearest, told.evidence), []).append(fact)
    return list(found.values())


def _explain(alike: list[FactVerdict], console: Console, *, verbose: bool) -> None:
    console.print()
    first, told = alike[0], of_fact(alike[0])
    about = ", ".join(f"{fact.node} {fact.label}" for fact in alike)
    # One fact whose sentence says which it is needs no name before it.
    named = len(alike) == 1 and names_its_fact(first)
    put(console, text(told.reason if named else f"{about}: {told.reason}".rstrip(": ")), indent=_BODY)
    shown = told.evidence if verbose or len(told.evidence) <= _EVIDENCE + 1 else told.evidence[:_EVIDENCE]
    below = [text(f"nearest: it would have held at {told.nearest}")] if told.nearest else []
    below += [text(line) for line in shown]
    if len(shown) < len(told.evidence):
        below.append(Text(f"... and {len(told.evidence) - len(shown)} more lines (--verbose)"))
    lines(console, below, indent=_BODY + 2)


def _to_see(report: RunReport, verdict: Verdict, node: str) -> list[tuple[str, str]]:
    """Command lines that show the node's sockets as the real tools printed them at the moment in question, each with
    a note of what it shows."""
    if report.folder is None:
        return [(f"simctl ss {shlex.quote(node)}", "its sockets now")]
    moment = _moment(verdict, report.history)
    files = {tool: report.folder / SS / moment / f"{node}.{tool}.txt" for tool in ("ss", "netstat")} if moment else {}
    return [
        (f"cat {shell_path(file)}", f"what {tool} printed there")
        for tool, file in files.items()
        if _inside(file, report.folder) and file.is_file()
    ][:1]


def _moment(verdict: Verdict, history: History) -> str | None:
    """The named moment that is closest to the instant that decided; of a window its end."""
    if verdict.at is not None:
        t = verdict.at
    elif verdict.when.end.t is not None:
        t = verdict.when.end.t
    else:
        return None
    # Moments that share an instant share their files too.
    return min(history.moments, key=lambda name: abs(history.moments[name] - t), default=None)


def _inside(file: Path, folder: Path) -> bool:
    """Whether a name out of the recording stays inside the run's folder."""
    return file.resolve().is_relative_to(folder.resolve())
