"""`simctl doctor`: what this machine can do, what each missing thing costs, how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import add, console_width

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator.runtimes.check import Check

_WIDTH = 80
_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("?", "yellow")}


def register(app: typer.Typer) -> None:
    add(app, "doctor", doctor)


def doctor(json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Show what this machine can do, what each missing thing costs, and how to get it."""
    from orchestrator.doctor.checks import checks, runtimes
    from orchestrator.exitcodes import ExitCode

    found = checks()
    usable = runtimes(found)
    if json:
        _print_json(found, usable)
    else:
        _print_table(found, usable)
    raise typer.Exit(ExitCode.PASS if usable else ExitCode.ENVIRONMENT)


def _print_json(found: list[Check], usable: list[str]) -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps({"runtimes": usable, "checks": [asdict(check) for check in found]}, indent=2))


def _print_table(found: list[Check], usable: list[str]) -> None:
    from rich.console import Console

    console = Console(highlight=False, width=console_width() or _WIDTH)
    console.print(_table(found))
    verdict = f"Scenarios run here on: {', '.join(usable)}." if usable else "No scenario can run here."
    console.print(verdict, style="bold")


def _table(found: list[Check]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("ability", no_wrap=True)
    table.add_column("found; what its lack costs; how to get it", overflow="fold")
    for check in found:
        mark, style = _MARKS[check.ok]
        text = Text(check.found)
        if check.ok is not True:
            text.append(f"\ncosts: {check.costs}\nget: {check.get}")
        table.add_row(Text(mark, style=style), check.name, text)
    return table
