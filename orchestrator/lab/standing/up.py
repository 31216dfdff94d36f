"""Brings up a lab that stays: starts its daemon, and waits until that says that the lab is up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError, Place
from orchestrator.fabric.settings import check_names
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.knobs import check_topology
from orchestrator.lab.standing import registry
from orchestrator.system.interpreter import OWN_PYTHON
from orchestrator.system.tail import tail
from orchestrator.text.progress import Progress
from orchestrator.text.record import record
from orchestrator.text.suggest import suggestion
from orchestrator.topology.compose.file import load_topology, variables_of

_LOG_TAIL = 10


@record
class Task:
    """What is brought up. `name` None: the file's, with a number where that is taken. `ready_timeout` in seconds."""

    topology: Path
    variables: Mapping[str, str]
    runtime: str
    allow_exec: bool
    ready_timeout: float
    name: str | None = None


@record
class Standing:
    """`nodes` as in LabRecord."""

    name: str
    nodes: Mapping[str, Mapping[str, Any]]


def bring_up(task: Task, progress: Progress) -> Standing:
    """Raises InputError, EnvironmentFailure; then, and when interrupted, nothing of the lab is left."""
    # What is wrong with it is said before anything starts.
    _check_variables(task)
    kinds = load_kinds()
    topology = load_topology(task.topology, task.variables, kinds=kinds, allow_host_access=task.allow_exec)
    check_names(topology)
    check_topology(topology, kinds)
    folder = registry.reserve(_label(task.topology) if task.name is None else task.name, exact=task.name is not None)
    message = {
        "name": folder.name,
        "topology": str(task.topology.resolve()),
        "variables": dict(task.variables),
        "runtime": task.runtime,
        "allow_exec": task.allow_exec,
        "ready_timeout": task.ready_timeout,
        "folder": str(folder),
    }
    return Standing(folder.name, _start_daemon(message, folder, progress))


def _check_variables(task: Task) -> None:
    known = variables_of(task.topology) if task.topology.is_file() else task.variables.keys()
    for name in task.variables:
        if name not in known:
            message = f"--set varies {name}, which {task.topology} does not mention"
            raise InputError(message, hint=suggestion(name, sorted(known)))


def _label(path: Path) -> str:
    """A lab's name from its file's: what a name may not have becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:30] or "lab"


def _start_daemon(task: dict[str, Any], folder: Path, progress: Progress) -> dict[str, Any]:
    """Returns the nodes, once they are up."""
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
        lines = tail(folder / "daemon.log", _LOG_TAIL)
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
