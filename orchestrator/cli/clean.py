"""`simctl clean`: what killed runs and labs left behind."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add
from orchestrator.cli.streams import tell


def register(app: typer.Typer) -> None:
    add(app, "clean", clean)


def clean() -> None:
    """Remove what a killed simctl could not: records of dead labs, trace instances, containers without a simctl."""
    from orchestrator.lab.standing import registry
    from orchestrator.runtimes.registry import abilities

    removed, failures = [f"record of lab {name}" for name in registry.remove_dead()], []

    def report(text: str) -> None:
        failures.append(text)
        tell(f"simctl: {text}")

    for ability in reversed(abilities()):  # containers before trace instances: a probe that is killed leaves one
        removed += ability.clean(report)
    for what in removed:
        print(f"removed {what}")
    if not removed and not failures:
        print("nothing was left behind")
