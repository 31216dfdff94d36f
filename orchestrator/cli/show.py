"""`simctl show`: one connection of a stored run as a ladder diagram."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import add, console_width
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.analysis.failures import Failure
    from orchestrator.analysis.ladder.list import ListedConnection, Telling
    from orchestrator.history.model import History
    from orchestrator.recording.folder import RunFolder
    from orchestrator.recording.verdict import Verdict

_FORMATS = ("text", "json")
_LISTED = 24
"""Connections that the table lists; a run can have tens of thousands."""


def register(app: typer.Typer) -> None:
    add(app, "show", show)


def show(
    run: Path = typer.Argument(..., metavar="RUN", help="Folder of a run."),
    conn: str = typer.Option("", "--conn", "-c", metavar="ID", help="c2, or the address:port or node:port of an end."),
    format_: str = typer.Option("text", "--format", "-f", metavar="FORM", help="text or json; on stdout."),
    ascii_: bool = typer.Option(False, "--ascii", help="Draw with ASCII characters only."),
) -> None:
    """Draw one connection of a stored run: both ends, what went between them, their states, who closed first.

    Without --conn: the only connection, or a list of all and the one that tells most.
    """
    from orchestrator.analysis.exchanges import reports_of_each
    from orchestrator.analysis.failures import failures
    from orchestrator.analysis.ladder.build import ladder
    from orchestrator.analysis.ladder.list import concerns, entries, find, most_telling
    from orchestrator.history.build import history_of
    from orchestrator.recording.folder import RunFolder

    if format_ not in _FORMATS:
        raise InputError(f"unknown format {format_!r}", hint=f"one of {', '.join(_FORMATS)}")
    folder = RunFolder.open(run)
    history = history_of(folder)
    known = entries(history, reports_of_each(history))
    failed = failures(history)
    chosen = find(conn, known) if conn else None
    why = None
    if chosen is None and known:
        chosen, why = most_telling(known, _verdicts(folder, history), failed)
    drawn = ladder(chosen.name, chosen.connection, history, chosen.reports) if chosen else None
    if format_ == "json":
        from orchestrator.report.json.ladder import render

        print(render(known, drawn))
        return
    from rich.console import Console

    from orchestrator.report.text.ladder import can_draw, draw

    console = Console(width=console_width(), highlight=False)
    if drawn is None or chosen is None:
        console.print("No connection was seen.")
        return
    ascii_only = ascii_ or not can_draw(getattr(sys.stdout, "encoding", None) or "ascii")
    if not conn and len(known) > 1:
        _list(known, chosen, console, ascii_only=ascii_only)
    for line in draw(drawn, console.width, ascii_only=ascii_only):
        console.print(line, soft_wrap=True)
    _tell_failures([one for one in failed if concerns(one, chosen.name)], console, ascii_only=ascii_only)
    if why is not None and len(known) > 1:
        _explain(chosen, why, run, console)


def _verdicts(folder: RunFolder, history: History) -> list[Verdict]:
    """None for a run that was not judged: it was interrupted, say."""
    from orchestrator.run.judge import stored_verdicts

    try:
        return stored_verdicts(folder, history)
    except InputError:
        return []


def _list(known: list[ListedConnection], chosen: ListedConnection, console: Console, *, ascii_only: bool) -> None:
    """The table of connections; the chosen one is always in it. A server that is the same for all is said once."""
    from rich.text import Text

    from orchestrator.report.text.terminal import listing, put, text
    from orchestrator.report.words import summaries as words

    first = known[:_LISTED]
    if chosen not in first:
        first = [*first[:-1], chosen]
    servers = {entry.server for entry in known}
    columns = {
        "id": [entry.name for entry in first],
        "client": [entry.client for entry in first],
        "server": [entry.server for entry in first],
        "opened": [words.opened(entry) for entry in first],
        "requests": [words.requests_on(entry) for entry in first],
        "first closer": [words.first_closer(entry) for entry in first],
        "how it ended": [words.ended(entry) for entry in first],
    }
    if len(servers) == 1:
        del columns["server"]
    to = f" to {next(iter(servers))}" if len(servers) == 1 else ""
    shown = [
        [text(_plain(cell) if ascii_only else cell, "bold" if entry is chosen else "") for cell in cells]
        for entry, cells in zip(first, zip(*columns.values(), strict=True), strict=True)
    ]
    put(console, text(f"{len(known)} connections{_plain(to) if ascii_only else to}"))
    console.print()
    put(console, listing(console.width - 2, list(columns), shown, flexible=["how it ended"]), indent=2)
    if len(known) > len(first):
        put(console, Text(f"... and {len(known) - len(first)} more"), indent=2)
    console.print()


def _tell_failures(failed: list[Failure], console: Console, *, ascii_only: bool) -> None:
    """The requests that failed on the connection that is drawn, or by it."""
    from orchestrator.report.text.terminal import lines, text
    from orchestrator.report.words.failures import sentences

    told = sentences(failed)
    if told:
        console.print()
        lines(console, [text(_plain(line) if ascii_only else line) for line in told], indent=2)


def _plain(cell: str) -> str:
    return cell.encode("ascii", "backslashreplace").decode("ascii")


def _explain(chosen: ListedConnection, why: Telling, run: Path, console: Console) -> None:
    from orchestrator.report.text.terminal import command, lines, shell_path, text
    from orchestrator.report.words.summaries import TELLING

    console.print()
    lines(console, [text(f"{chosen.name} is drawn because {TELLING[why]}. Another one:", "dim")])
    command(console, f"simctl show {shell_path(run)} --conn ID", indent=2)
