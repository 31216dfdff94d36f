"""`simctl up`, `ps`, `ss`, `exec`, `down`, `clean`: a topology without a scenario."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.common import AllowExecOption, Progress, RuntimeOption, SetOption, parse_variables, verb
from orchestrator.errors import EnvironmentFailure, InputError, Place

_LAB = typer.Option(None, "--lab", "-l", help="Which lab, when several are up.")


def register(app: typer.Typer) -> None:
    app.command("up")(up)
    app.command("ps")(ps)
    app.command("ss")(ss)
    app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(exec_)
    app.command("down")(down)
    app.command("clean")(clean)


@verb
def up(
    topology: str = typer.Argument(..., metavar="FILE|NAME", help="A Compose file, or the name of a bundled one."),
    name: str | None = typer.Option(None, "--name", "-n", help="What to call the lab; the file's name without."),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
    allow_exec: bool = AllowExecOption,
) -> None:
    """Bring a topology up and leave it standing, until `simctl down`."""
    from orchestrator.labs import registry

    path = _topology_file(topology)
    registry.remove_dead()
    label = _free_name(name or path.stem, registry.labs(), chosen=name is not None)
    folder = registry.home() / f"{label}-{os.getpid()}"
    folder.mkdir(mode=0o700)
    task = {
        "name": label,
        "topology": str(path.resolve()),
        "variables": parse_variables(set_),
        "runtime": runtime,
        "allow_exec": allow_exec,
        "folder": str(folder),
    }
    nodes = _start_keeper(task, folder)
    for node, facts in nodes.items():
        print(f"{node:16} {facts['kind']:12} {' '.join(facts['addresses'])}")
    print(f"lab {label} is up. Look: simctl ss {next(iter(nodes))}   End: simctl down {label}")


def _start_keeper(task: dict[str, Any], folder: Path) -> dict[str, Any]:
    progress = Progress()
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.labs.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        keeper.stdin.write(json.dumps(task).encode())
        keeper.stdin.close()
        for line in keeper.stdout:
            message = json.loads(line)
            if "up" in message:
                nodes: dict[str, Any] = message["up"]
                return nodes
            if "error" in message:
                raise _keeper_error(message)
            progress(message["progress"])
        lines = (folder / "keeper.log").read_text(errors="replace").splitlines()[-10:]
        raise EnvironmentFailure("the keeper of the lab ended before it was up", detail=lines)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _keeper_error(message: dict[str, Any]) -> EnvironmentFailure | InputError:
    kind = InputError if message["usage"] else EnvironmentFailure
    place = Place(message["place"]) if message["place"] else None
    return kind(message["error"], place=place, hint=message["hint"], detail=message["detail"])


def _topology_file(word: str) -> Path:
    from orchestrator.resources import COMPOSE
    from orchestrator.suggest import did_you_mean

    path = Path(word)
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


def _free_name(wanted: str, records: list[Any], *, chosen: bool) -> str:
    taken = {record.name for record in records}
    if wanted not in taken:
        return wanted
    if chosen:
        raise InputError(
            f"a lab named {wanted!r} is up already", hint=f"simctl down {wanted}, or choose another --name"
        )
    return next(name for number in range(2, 1000) if (name := f"{wanted}-{number}") not in taken)


@verb
def ps() -> None:
    """List the standing labs and their nodes."""
    from orchestrator.labs import registry

    registry.remove_dead()
    records = registry.labs()
    if not records:
        print("no lab is up")
    for record in records:
        ended = registry.ask(record, "states")["ended"]
        print(f"{record.name}  ({record.runtime}, {record.topology})")
        for node, facts in record.nodes.items():
            state = f"ended: {ended[node]}" if node in ended else "up"
            print(f"  {node:16} {facts['kind']:12} {' '.join(facts['addresses']):18} pid {facts['pid']:<8} {state}")


@verb
def ss(
    node: str = typer.Argument(..., metavar="NODE"),
    lab: str | None = _LAB,
    netstat: bool = typer.Option(False, "--netstat", help="netstat -tanp instead of ss -tanope."),
    watch: bool = typer.Option(False, "--watch", "-w", help="Again every second, until Ctrl-C."),
) -> None:
    """Show the real `ss -tanope` of a node: every socket with its state, queues, timer and owner."""
    from orchestrator.labs import registry

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


@verb
def exec_(
    node: str = typer.Argument(..., metavar="NODE"),
    command: list[str] = typer.Argument(..., metavar="COMMAND [ARGUMENT ...]"),
    lab: str | None = _LAB,
) -> None:
    """Run a command inside a node, with this terminal. Under netns it sees this machine's files."""
    from orchestrator.labs import registry
    from orchestrator.runtimes.processes import nsenter

    record = registry.find(lab)
    pid = int(registry.node_of(record, node)["pid"])
    argv = [*nsenter(pid, user_namespace=record.rootless), *command]
    sys.exit(subprocess.run(argv, check=False).returncode)


@verb
def down(
    lab: str | None = typer.Argument(None, metavar="[LAB]", help="Which; the only one without."),
    all_: bool = typer.Option(False, "--all", help="All of them."),
) -> None:
    """Take a standing lab down."""
    from orchestrator.labs import registry

    for record in registry.labs() if all_ else [registry.find(lab)]:
        registry.take_down(record)
        print(f"lab {record.name} is down")


@verb
def clean() -> None:
    """Remove what a killed simctl could not: records of dead labs, containers whose simctl is gone."""
    from orchestrator.labs import registry

    removed = [f"record of lab {name}" for name in registry.remove_dead()]
    removed += _clean_containers()
    for what in removed:
        print(f"removed {what}")
    if not removed:
        print("nothing was left behind")


def _clean_containers() -> list[str]:
    from orchestrator.runtimes.docker import engine_answers

    if not engine_answers()[0]:
        return []
    from orchestrator.runtimes import docker

    return [f"container {name}" for name in docker.clean(docker.connect())]
