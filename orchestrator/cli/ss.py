"""`simctl ss`: the sockets of a node of a standing lab."""

from __future__ import annotations

import time

import typer

from orchestrator.cli.common import LabOption, add
from orchestrator.errors import EnvironmentFailure


def register(app: typer.Typer) -> None:
    add(app, "ss", ss)


def ss(
    node: str = typer.Argument(..., metavar="NODE"),
    lab: str | None = LabOption,
    netstat: bool = typer.Option(False, "--netstat", help="netstat -tanp instead of ss -tanope."),
    watch: bool = typer.Option(False, "--watch", "-w", help="Again every second, until Ctrl-C."),
) -> None:
    """Show the real `ss -tanope` of a node: every socket with its state, queues, timer and owner."""
    from orchestrator.lab.standing import registry

    record = registry.find(lab)
    registry.node_of(record, node)
    tool = "netstat" if netstat else "ss"
    while True:
        text = registry.ask(record, "texts")["texts"][node].get(tool)
        if text is None:
            raise EnvironmentFailure(f"this machine has no {tool}", hint="simctl doctor names the package")
        print(text, end="", flush=True)
        if not watch:
            return
        time.sleep(1)
        print()
