"""`simctl ps`: which labs stand, and their nodes."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add
from orchestrator.cli.streams import tell


def register(app: typer.Typer) -> None:
    add(app, "ps", ps)


def ps() -> None:
    """List the standing labs and their nodes."""
    from orchestrator.lab.standing import registry

    records = registry.labs()
    living = [record for record in records if record.alive]
    if not living:
        print("no lab is up")
    for record in records:
        if record not in living:
            tell(f"simctl: lab {record.name} is gone, its daemon was killed; simctl clean removes its record")
    for record in living:
        ended = registry.ask(record, "states")["ended"]
        print(f"{record.name}  ({record.runtime}, {record.topology})")
        for node, facts in record.nodes.items():
            state = f"ended: {ended[node]}" if node in ended else "up"
            print(f"  {node:16} {facts['kind']:12} {' '.join(facts['addresses']):18} pid {facts['pid']:<8} {state}")
