"""Small pieces of terminal output. Data goes into `Text` objects, never into markup strings, and through `visible`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.judge.verdict import Outcome
from orchestrator.report.safe import visible

STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.FAIL: "red"}
"""The only colours of a report."""

LABEL = len("UNKNOWN")
"""Width of the first column, which holds outcomes."""

INDENT = " " * (LABEL + 2)


def text(data: object, style: str = "") -> Text:
    """Data as it came, made visible."""
    return Text(visible(data), style=style)


def label(outcome: Outcome, *, loud: bool = False) -> Text:
    """The outcome, in its colour."""
    return Text(outcome.value.upper() if loud else outcome.value, style=f"bold {STYLES[outcome]}" if loud else STYLES[outcome])


def columns(*justify: str, gap: int = 2) -> Table:
    """A table without lines, whose last column takes what is left and wraps."""
    table = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for position, side in enumerate(justify):
        last = position == len(justify) - 1
        table.add_column(justify="right" if side == "right" else "left", overflow="fold", ratio=1 if last else None)
    table.expand = True
    return table


def labelled(console: Console, rows: list[tuple[Text, Text]]) -> None:
    """Rows of a short label and a sentence; sentences wrap under themselves."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for first, sentence in rows:
        table.add_row(first, sentence)
    console.print(table)


def command(console: Console, indent: str, line: str, note: str = "") -> None:
    """A command on a line of its own, never broken, so that it can be copied; the note only where it fits."""
    shown = Text(indent) + text(line, "bold")
    if note and shown.cell_len + 3 + len(note) <= console.width:
        shown.append(f"   {note}", style="dim")
    console.print(shown, soft_wrap=True)


def shell_path(path: Path) -> str:
    """The path as a shell takes it, relative to the current directory when it lies under it."""
    whole = Path(os.path.abspath(path))
    here = Path.cwd()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))
