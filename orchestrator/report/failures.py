"""An expectation that does not hold: expected beside actual, the nearest moment, the evidence, the ss to look at."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.judge.verdict import FactVerdict, Outcome, Verdict
from orchestrator.recording.folder import SS
from orchestrator.recording.history import History
from orchestrator.report.model import RunReport
from orchestrator.report.terminal import INDENT, command, label, labelled, shell_path, text
from orchestrator.scenario.values import Window

_ORDER = [Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS]


def print_expectation(report: RunReport, verdict: Verdict, console: Console) -> None:
    """One expectation with all its facts; those that do not hold are explained."""
    labelled(console, [(label(verdict.outcome), text(verdict.that, "bold")), (Text(), _when(verdict, report.history))])
    facts = sorted(verdict.facts, key=lambda fact: _ORDER.index(fact.outcome))
    if facts:
        console.print()
        console.print(Padding(_fact_table(facts), (0, 0, 0, len(INDENT))))
    shown: set[str] = set()
    for fact in facts:
        if fact.outcome is not Outcome.PASS:
            _explain(fact, console)
            if fact.node not in shown:
                shown.add(fact.node)
                for line in _to_see(report, verdict, fact.node):
                    command(console, f"{INDENT}  ", line)


def _when(verdict: Verdict, history: History) -> Text:
    """`at idle.end (8.43 s)`; of a window its ends, and the instant that decided."""
    kind, _, rest = verdict.when.partition(" ")
    seconds = "" if verdict.at is None else f"{verdict.at:.2f} s"
    if kind != "at":
        seconds = f"decided at {seconds}" if seconds else ""
        if window := _window(rest.partition(" for ")[0], history):
            seconds = f"{window[0]:.2f} s .. {window[1]:.2f} s" + (f", {seconds}" if seconds else "")
    return text(verdict.when) + text(f" ({seconds})" if seconds else "")


def _window(written: str, history: History) -> tuple[float, float] | None:
    """The ends of a window in seconds; None when its moments are not in the recording."""
    try:
        window = Window.parse(written)
        start, end = ((history.moments[moment.name] + moment.offset) for moment in (window.start, window.end))
    except (ValueError, KeyError):
        return None
    return start, end


def _fact_table(facts: list[FactVerdict]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("node", "fact", "expected", "actual", ""):
        table.add_column(name, overflow="fold")
    for fact in facts:
        cells = (text(cell) for cell in (fact.node, fact.fact, fact.expected, fact.actual))
        table.add_row(*cells, label(fact.outcome))
    return table


def _explain(fact: FactVerdict, console: Console) -> None:
    console.print()
    about = f"{fact.node} {fact.fact}"
    console.print(Padding(text(f"{about}: {fact.reason}" if fact.reason else about), (0, 0, 0, len(INDENT))))
    details = Table.grid(padding=(0, 2, 0, 0))
    details.add_column(style="dim", no_wrap=True)
    details.add_column(overflow="fold")
    if fact.nearest:
        details.add_row("nearest", text(f"it would have held at {fact.nearest}"))
    if fact.margin:
        details.add_row("margin", text(fact.margin))
    for position, line in enumerate(fact.evidence):
        details.add_row("" if position else "evidence", text(line))
    if details.row_count:
        console.print(Padding(details, (0, 0, 0, len(INDENT) + 2)))


def _to_see(report: RunReport, verdict: Verdict, node: str) -> list[str]:
    """Command lines that show the node's sockets as the real tools printed them at the moment in question."""
    if report.folder is None:
        return [f"simctl ss {shlex.quote(node)}"]
    moment = _moment(verdict, report.history)
    files = [report.folder / SS / moment / f"{node}.{tool}.txt" for tool in ("ss", "netstat")] if moment else []
    return [f"less {shell_path(file)}" for file in files if _inside(file, report.folder) and file.is_file()][:1]


def _moment(verdict: Verdict, history: History) -> str | None:
    """The named moment that is closest to the instant that decided; of a window its end."""
    if verdict.at is not None:
        t = verdict.at
    elif window := _window(verdict.when.partition(" ")[2].partition(" for ")[0], history):
        t = window[1]
    else:
        return None
    # Moments that share an instant share their files too.
    return min(history.moments, key=lambda name: abs(history.moments[name] - t), default=None)


def _inside(file: Path, folder: Path) -> bool:
    """Whether a name out of the recording stays inside the run's folder."""
    return file.resolve().is_relative_to(folder.resolve())
