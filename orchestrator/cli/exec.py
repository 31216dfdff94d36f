"""`simctl exec`: a command in a node of a standing lab."""

from __future__ import annotations

import sys

import typer

from orchestrator.cli.common import LabOption, add


def register(app: typer.Typer) -> None:
    add(app, "exec", exec_, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})


def exec_(
    node: str = typer.Argument(..., metavar="NODE"),
    command: list[str] = typer.Argument(..., metavar="COMMAND [ARGUMENT ...]"),
    lab: str | None = LabOption,
) -> None:
    """Run a command inside a node, with this terminal. Under netns it sees this machine's files."""
    from orchestrator.lab.standing import registry
    from orchestrator.runtimes.registry import find

    record = registry.find(lab)
    words = command[command[0] == "--" :]
    sys.exit(find(record.runtime).exec(registry.standing_node(record, node), words))
