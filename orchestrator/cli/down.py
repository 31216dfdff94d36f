"""`simctl down`: take a standing lab down."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add


def register(app: typer.Typer) -> None:
    add(app, "down", down)


def down(
    lab: str | None = typer.Argument(None, metavar="[LAB]", help="Which; the only one without."),
    all_: bool = typer.Option(False, "--all", help="All of them."),
) -> None:
    """Take a standing lab down."""
    from orchestrator.lab.standing import registry

    records = registry.labs() if all_ else [registry.find(lab, choose="its name, or --all")]
    for record in records:
        registry.take_down(record)
        print(f"lab {record.name} is down")
    if not records:
        print("no lab is up")
