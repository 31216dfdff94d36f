"""Our containers: what is refused before one starts, whose each is, and which were left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.engine.client import address, engine_errors, remove
from orchestrator.errors import EnvironmentFailure
from orchestrator.system.linux import process_start_time
from orchestrator.text.record import record
from orchestrator.topology.model import Node

if TYPE_CHECKING:
    from docker import APIClient

RUN_LABEL = "simctl.run"
NODE_LABEL = "simctl.node"
_STARTER_LABEL = "simctl.pid"
_MACHINE_LABEL = "simctl.machine"

_PROBE_ENDS = 5
"""Seconds that a probe may take to remove its trace instance: a tenth of one is usual, on a busy machine it is more."""

# -- before anything starts ------------------------------------------------------------------------------------------


def check(client: APIClient, nodes: Iterable[Node]) -> None:
    """Refuse what cannot be done with this engine, before anything starts. Raises EnvironmentFailure."""
    from docker.errors import ImageNotFound

    for node in nodes:
        if node.kind is None:
            with engine_errors(f"cannot look for the image {node.image}"):
                try:
                    inspect: Any = client.inspect_image  # the stubs have no types for it
                    inspect(node.image)
                except ImageNotFound:
                    raise no_image(node, node.image) from None


def not_this_machine() -> EnvironmentFailure:
    return EnvironmentFailure(
        f"the containers of the engine at {address()} are no processes of this machine: the probe cannot enter them",
        hint="SIMCTL_PROBE=container makes the probe one of the engine's containers",
    )


def no_image(node: Node, image: str) -> EnvironmentFailure:
    hint = "simctl images build" if node.kind else f"docker pull {image}"
    message = f"service {node.service}: the engine has no image {image}"
    return EnvironmentFailure(message, place=node.place, hint=hint)


# -- whose container is it -------------------------------------------------------------------------------------------


def labels(run: str, node: str | None) -> dict[str, str]:
    """The labels of a container that this process starts: its run, its node (the probe is none), who answers for it."""
    pid = os.getpid()
    return {
        RUN_LABEL: run,
        **({} if node is None else {NODE_LABEL: node}),
        _STARTER_LABEL: f"{pid} {process_start_time(pid)}",
        _MACHINE_LABEL: _machine(),
        "simctl.version": __version__,
    }


def starter_is_dead(container_labels: Mapping[str, str]) -> bool:
    """Whether the process that started a container is surely gone.

    A pid says something only within one boot of one machine and one pid namespace: a container that another machine
    or a container with our socket started is never called dead.
    """
    if container_labels.get(_MACHINE_LABEL) != _machine():
        return False
    pid, _, start = container_labels.get(_STARTER_LABEL, "").partition(" ")
    return pid.isdigit() and start.isdigit() and _is_dead(int(pid), int(start))


def _is_dead(pid: int, start: int) -> bool:
    """A machine can hide the processes of other users in /proc (proc(5), hidepid), but not that there is one."""
    seen = process_start_time(pid)
    if seen is not None:
        return seen != start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process_start_time(pid) != start  # it was born in between


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


@record
class Leftover:
    """A container of a run whose simctl is dead."""

    id: str
    run: str
    node: str | None
    """None: it was the probe."""

    def __str__(self) -> str:
        what = "the probe" if self.node is None else f"node {self.node}"
        return f"container {self.id[:12]} ({what} of run {self.run})"


def leftovers(client: APIClient) -> list[Leftover]:
    """All containers, running or not, that dead runs left behind. Never one of a living run."""
    with engine_errors("cannot list containers"):
        found: list[dict[str, Any]] = client.containers(all=True, filters={"label": RUN_LABEL})
    return [
        Leftover(item["Id"], item["Labels"][RUN_LABEL], item["Labels"].get(NODE_LABEL))
        for item in found
        if starter_is_dead(item["Labels"])
    ]


def clean(client: APIClient) -> list[Leftover]:
    """Remove what `leftovers` finds; returns what was removed."""
    found = leftovers(client)
    for item in found:
        if item.node is None:
            _let_end(client, item.id)
        remove(client, item.id)
    return found


def _let_end(client: APIClient, probe: str) -> None:
    """Give a probe the time to remove its trace instance, which outlives it: it may be about to, as its input ended."""
    from docker.errors import NotFound

    with engine_errors(f"cannot stop container {probe[:12]}"), contextlib.suppress(NotFound):
        client.stop(probe, timeout=_PROBE_ENDS)
