"""`simctl up`, `ps`, `ss`, `exec`, `down`, `clean`: a topology without a scenario."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.common import (
    AllowExecOption,
    Progress,
    QuietOption,
    ReadyTimeoutOption,
    RuntimeOption,
    SetOption,
    parse_duration_option,
    parse_variables,
    verb,
)
from orchestrator.cli.streams import tell
from orchestrator.errors import EnvironmentFailure, InputError, Place
from orchestrator.system.interpreter import OWN_PYTHON

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
    ready_timeout: str = ReadyTimeoutOption,
    quiet: bool = QuietOption,
) -> None:
    """Bring a topology up and leave it standing, until `simctl down`."""
    from orchestrator.kinds.registry import kind_names
    from orchestrator.lab.standing import registry
    from orchestrator.topology.compose.file import load_topology

    path = _topology_file(topology)
    variables = parse_variables(set_)
    patience = parse_duration_option("--ready-timeout", ready_timeout)
    # What is wrong with it is said before anything starts.
    load_topology(path, variables, kinds=kind_names(), allow_host_access=allow_exec)
    folder = registry.reserve(_label(path) if name is None else name, exact=name is not None)
    label = folder.name
    task = {
        "name": label,
        "topology": str(path.resolve()),
        "variables": variables,
        "runtime": runtime,
        "allow_exec": allow_exec,
        "ready_timeout": patience,
        "folder": str(folder),
    }
    nodes = _start_daemon(task, folder, Progress(quiet=quiet))
    for node, facts in nodes.items():
        print(f"{node:16} {facts['kind']:12} {' '.join(facts['addresses'])}")
    print(f"lab {label} is up. Look: simctl ss {next(iter(nodes))}   End: simctl down {label}")


def _start_daemon(task: dict[str, Any], folder: Path, progress: Progress) -> dict[str, Any]:
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [*OWN_PYTHON, "orchestrator.lab.standing.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    try:
        daemon.stdin.write(json.dumps(task).encode())
        daemon.stdin.close()
        for line in daemon.stdout:
            message = json.loads(line)
            if "up" in message:
                nodes: dict[str, Any] = message["up"]
                return nodes
            if "error" in message:
                raise _daemon_error(message)
            progress(message["progress"])
        lines = (folder / "daemon.log").read_text(errors="replace").splitlines()[-10:]
        raise EnvironmentFailure("the daemon of the lab ended before it was up", detail=lines)
    except BaseException:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _daemon_error(message: dict[str, Any]) -> EnvironmentFailure | InputError:
    kind = InputError if message["usage"] else EnvironmentFailure
    place = Place(message["place"]) if message["place"] else None
    return kind(message["error"], place=place, hint=message["hint"], detail=message["detail"])


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


def _label(path: Path) -> str:
    """A lab's name from its file's: what a name may not have becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:30] or "lab"


@verb
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


@verb
def ss(
    node: str = typer.Argument(..., metavar="NODE"),
    lab: str | None = _LAB,
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


@verb
def exec_(
    node: str = typer.Argument(..., metavar="NODE"),
    command: list[str] = typer.Argument(..., metavar="COMMAND [ARGUMENT ...]"),
    lab: str | None = _LAB,
) -> None:
    """Run a command inside a node, with this terminal. Under netns it sees this machine's files."""
    from orchestrator.lab.standing import registry
    from orchestrator.runtimes.processes import nsenter

    record = registry.find(lab)
    facts = registry.node_of(record, node)
    words = command[command[0] == "--" :]
    if not record.reachable:
        sys.exit(_exec_by_engine(str(facts["container"]), words))
    argv = [*nsenter(int(facts["pid"]), user_namespace=record.rootless), *words]
    # A lab is closed: there is no way from it to the user's proxy.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    status = subprocess.run(argv, env=environment, check=False).returncode
    sys.exit(status if status >= 0 else 128 - status)


def _exec_by_engine(container: str, command: list[str]) -> int:
    from orchestrator.engine.client import connect
    from orchestrator.runtimes.docker.exec import exec_with_terminal

    return exec_with_terminal(connect(), container, command)


@verb
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


@verb
def clean() -> None:
    """Remove what a killed simctl could not: records of dead labs, trace instances, containers without a simctl."""
    from orchestrator.lab.standing import registry

    removed = [f"record of lab {name}" for name in registry.remove_dead()]
    removed += _clean_containers()  # before their traces: a probe that is killed leaves one
    removed += _clean_traces() + _clean_traces_of_engine()
    for what in removed:
        print(f"removed {what}")
    if not removed:
        print("nothing was left behind")


def _clean_traces() -> list[str]:
    """In a process of its own, which may have to mount tracefs for itself. Here only root can have left any."""
    if os.geteuid() != 0:
        return []
    argv = [*OWN_PYTHON, "orchestrator.observe.trace.tracefs"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tell(f"simctl: trace instances were not looked for: {done.stderr.strip().rpartition(chr(10))[2]}")
    return [f"trace instance {name}" for name in done.stdout.split()]


def _clean_traces_of_engine() -> list[str]:
    """Where the probe is a container: what probes that were killed left on the engine's machine."""
    from orchestrator.engine.client import connect, engine_answers

    if not engine_answers()[0]:  # said already
        return []
    from orchestrator.runtimes.docker.images import any_probe_image
    from orchestrator.runtimes.docker.probeplace import probe_place

    client = connect()
    image = any_probe_image(client)
    if image is None or not probe_place(client).container:  # without an image, no container was ever a probe
        return []
    from orchestrator.runtimes.docker.askprobe import ask_probe

    return [f"trace instance {name}" for name in ask_probe(client, image, "leftovers")["removed"]]


def _clean_containers() -> list[str]:
    from orchestrator.engine.client import connect, engine_answers

    answers, why = engine_answers()
    if not answers:
        tell(f"simctl: containers were not looked for: {why}")
        return []
    from orchestrator.runtimes.docker import containers

    return [f"container {name}" for name in containers.clean(connect())]
