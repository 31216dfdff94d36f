"""`simctl up`: bring a topology up and leave it standing."""

from __future__ import annotations

from pathlib import Path

import typer

from orchestrator.cli.common import (
    AllowExecOption,
    ProgressLines,
    QuietOption,
    ReadyTimeoutOption,
    RuntimeOption,
    SetOption,
    add,
    parse_duration_option,
    parse_variables,
)
from orchestrator.errors import InputError


def register(app: typer.Typer) -> None:
    add(app, "up", up)


def up(
    topology: str = typer.Argument(..., metavar="FILE|NAME", help="A Compose file, or the name of a bundled one."),
    name: str | None = typer.Option(
        None, "--name", "-n", metavar="NAME", help="What to call the lab; the file's name without."
    ),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
    allow_exec: bool = AllowExecOption,
    ready_timeout: str = ReadyTimeoutOption,
    quiet: bool = QuietOption,
) -> None:
    """Bring a topology up and leave it standing, until `simctl down`."""
    from orchestrator.lab.standing.up import Task, bring_up

    task = Task(
        topology=_topology_file(topology),
        variables=parse_variables(set_),
        runtime=runtime,
        allow_exec=allow_exec,
        ready_timeout=parse_duration_option("--ready-timeout", ready_timeout),
        name=name,
    )
    lab = bring_up(task, ProgressLines(quiet=quiet))
    for node, facts in lab.nodes.items():
        print(f"{node:16} {facts['kind']:12} {' '.join(facts['addresses'])}")
    print(f"lab {lab.name} is up. Look: simctl ss {next(iter(lab.nodes))}   End: simctl down {lab.name}")


def _topology_file(word: str) -> Path:
    from orchestrator.scenario.loader import looks_like_scenario
    from orchestrator.system.resources import COMPOSE
    from orchestrator.text.suggest import did_you_mean

    path = Path(word)
    if path.is_file() and looks_like_scenario(path):
        raise InputError(
            f"{path} is a scenario; a lab is made of a topology",
            hint=f"simctl run {path}, or simctl up with the file that it names as `topology`",
        )
    if path.exists() or path.suffix in (".yaml", ".yml"):
        return path
    bundled = {file.stem: file for file in sorted(COMPOSE.glob("*.yaml"))}
    if word in bundled:
        return bundled[word]
    guess = did_you_mean(word, list(bundled))
    raise InputError(
        f"no file and no bundled topology {word!r}",
        hint=f"did you mean {guess}?" if guess else f"bundled: {', '.join(bundled)}",
    )
