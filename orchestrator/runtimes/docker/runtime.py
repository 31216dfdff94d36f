"""The docker runtime: nodes are containers, started through the engine and wired by the fabric like any other node.

Containers have no network of the engine's (`NetworkDisabled`): the fabric makes their interfaces. That keeps the
engine's DNS listener out of every socket table, and it halves the time that a start takes (10 containers: 0.55 s
against 1.2 s), because the engine otherwise runs itself once more per container to hand over the network namespace. The
engine then writes no /etc/hosts either, so ours is mounted (settings.py).

We hold each container's standard input through an attached connection. The engine closes that input when the connection
goes away, however simctl ended; init then ends the node, and `auto_remove` the container. A foreign image that does not
end with its input stays, and is found by its label (containers.leftovers).

A foreign image (one that is no node kind) has no init of ours and so no `go`: its program starts at once and is wired
some milliseconds later.

Where simctl is not root on the engine's machine (probeplace.py), the probe is a container beside the nodes, and
processes are reached through it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine import client as dockerengine
from orchestrator.engine.making import Making
from orchestrator.engine.streams import NodeStreams, attach
from orchestrator.errors import EnvironmentFailure, NodeFailure
from orchestrator.kinds.registry import Kind
from orchestrator.observe.localprobe import LocalProbe
from orchestrator.observe.process import ProbeProcess
from orchestrator.runtimes.base import ExecResult, Exited, NodePlan, StartedNode
from orchestrator.runtimes.docker import containers as dockercontainers
from orchestrator.runtimes.docker import pids as dockerpids
from orchestrator.runtimes.docker.command import run_command
from orchestrator.runtimes.docker.events import Deaths
from orchestrator.runtimes.docker.probe import ProbeContainer, start_probe
from orchestrator.runtimes.docker.settings import container_settings, hosts_archive, hosts_path
from orchestrator.system.tail import tail

if TYPE_CHECKING:
    from docker import APIClient

_AT_A_TIME = 10
"""Calls of the engine at a time. More does not help: it is runc that takes the time, and the processors are few."""

_STOP_TIMEOUT = 30.0
_LOG_TAIL = 15


@dataclass(slots=True)
class _Container:
    """One of ours. `pid` is that of its first process, on this machine; 0 until it is started."""

    id: str
    plan: NodePlan
    pid: int = 0
    streams: NodeStreams | None = None


class DockerRuntime:
    """One lab of containers. `images` maps node kinds to image references, as images.ensure_images returns them.

    `run` stands in labels and in container names, so it must be unique; without one, the runtime makes one up.
    `probe_image`: the image of the probe, where that has to be a container; None where it is a process of ours.
    """

    name = "docker"

    def __init__(
        self, client: APIClient, images: Mapping[str, str], *, run: str | None = None, probe_image: str | None = None
    ) -> None:
        self._run = run or secrets.token_hex(6)
        self._probe_image = probe_image
        self._probe: ProbeContainer | None = None
        self._client = client
        self._images = images
        self._lock = threading.Lock()
        self._containers: dict[str, _Container] = {}
        self._making = Making()
        self._deaths: Deaths | None = None

    @property
    def user_namespace(self) -> int | None:
        """The engine's containers live in the machine's own user namespace."""
        return None

    # -- up --------------------------------------------------------------------------------------------------------

    def start(self, plans: Sequence[NodePlan]) -> dict[str, StartedNode]:
        """As Runtime.start. Raises NodeFailure for a container that ended at once. After any error call `stop`."""
        self._deaths = Deaths(self._client, f"{dockercontainers.RUN_LABEL}={self._run}")
        executor = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="docker-start")
        try:
            nodes = [future.result() for future in [executor.submit(self._start_node, plan) for plan in plans]]
        except BaseException:
            self._making.close()
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
        return {node.name: node for node in nodes}

    def _start_node(self, plan: NodePlan) -> StartedNode:
        node = plan.node
        with (
            self._making.one(f"node {node.name}"),
            dockerengine.engine_errors(f"cannot start the container of node {node.name}"),
        ):
            container = self._create(plan)
            if self._probe_image is not None:  # the engine may not see our files
                self._client.put_archive(container.id, "/", hosts_archive(plan.hosts_file))
            connection = attach(self._client, container.id)
            container.streams = NodeStreams(connection, plan.log, output_to_log=node.kind is None)
            self._client.start(container.id)
        container.pid = self._first_pid(container)
        if self._probe_image is None and not dockerpids.is_ours(container.pid, container.id):
            assert self._deaths is not None
            died = self._deaths.wait(container.id, timeout=1.0)
            raise self._died_at_start(container) if died else dockercontainers.not_this_machine()
        detail = {"container": container.id[:12], "image": self._image(plan)}
        return StartedNode(node.name, container.pid, container.streams.stdin, container.streams.stdout, detail)

    def _create(self, plan: NodePlan) -> _Container:
        """Create a container and record it in one step that `stop` cannot fall into."""
        from docker.errors import ImageNotFound

        settings = container_settings(
            self._client, plan, run=self._run, image=self._image(plan), mount_hosts=self._probe_image is None
        )
        try:
            container = _Container(self._client.create_container(**settings)["Id"], plan)
        except ImageNotFound:
            raise dockercontainers.no_image(plan.node, settings["image"]) from None
        with self._lock:
            self._containers[plan.node.name] = container
        if self._making.closed:
            raise EnvironmentFailure(f"node {plan.node.name} was not started: the lab is going down")
        return container

    def _image(self, plan: NodePlan) -> str:
        kind = plan.node.kind
        return plan.node.image if kind is None else self._images[kind]

    def _first_pid(self, container: _Container) -> int:
        from docker.errors import NotFound

        with dockerengine.engine_errors(f"cannot inspect node {container.plan.node.name}"):
            try:
                pid = int(self._client.inspect_container(container.id)["State"]["Pid"])
            except NotFound:  # auto_remove was quicker
                pid = 0
        if pid == 0:
            raise self._died_at_start(container)
        return pid

    def _died_at_start(self, container: _Container) -> NodeFailure:
        assert self._deaths is not None
        assert container.streams is not None
        how = self._deaths.wait(container.id, timeout=2.0)
        container.streams.wait_ended(timeout=2.0)
        lines = tail(container.plan.log, _LOG_TAIL)
        return NodeFailure(
            f"node {container.plan.node.name} died at start ({how or 'its container is gone'})",
            place=container.plan.node.place,
            detail=lines or ["(its log is empty)"],
        )

    # -- use -------------------------------------------------------------------------------------------------------

    def start_probe(self, log: Path) -> ProbeProcess:
        """As Runtime.start_probe."""
        if self._probe_image is None:
            return LocalProbe(log)
        self._probe = start_probe(self._client, self._probe_image, self._run, log)
        return self._probe

    def _with_pids(self, *arguments: str) -> None:
        """Do what dockerpids.main does, where the pids of nodes mean something. Raises EnvironmentFailure."""
        if self._probe_image is None:
            dockerpids.main(list(arguments))
            return
        if self._probe is None:
            raise EnvironmentFailure("the processes of nodes cannot be reached: the probe does not run")
        done = self._probe.run(["python3", "-P", "-m", "orchestrator.runtimes.docker.pids", *arguments])
        if done.status != 0:
            raise EnvironmentFailure(f"cannot {arguments[0]} the processes of a node: {done.output.strip()}")

    def healthy(self, name: str) -> bool:
        from docker.errors import NotFound

        with dockerengine.engine_errors(f"cannot inspect node {name}"):
            try:
                state = self._client.inspect_container(self._containers[name].id)["State"]
            except NotFound:
                return False
        health = state.get("Health")
        return health is None or health["Status"] == "healthy"

    def signal(self, name: str, signal: int, *, alone: bool = False) -> None:
        """As Runtime.signal. A foreign image's first process is its program, and gets the signal like the rest."""
        container = self._containers[name]
        how = "program" if container.plan.node.kind is None else "init"
        how += "-alone" if alone else ""
        self._with_pids("signal", str(container.pid), container.id, str(int(signal)), how)

    def exited(self, name: str) -> Exited | None:
        """How the container ended. A node kind's init outlives its program, and reports that end on its output."""
        container = self._containers[name]
        if self._deaths is None or container.streams is None:
            return None
        # The output ends a moment before the engine tells of the death: whoever saw the one may ask for the other.
        ended = container.streams.wait_ended(timeout=0)
        known = self._deaths.wait(container.id, timeout=2.0 if ended else 0)
        return known or (Exited() if ended and not self._runs(container) else None)

    def _runs(self, container: _Container) -> bool:
        from docker.errors import NotFound

        with dockerengine.engine_errors(f"cannot inspect node {container.plan.node.name}"):
            try:
                return bool(self._client.inspect_container(container.id)["State"]["Running"])
            except NotFound:
                return False

    def entrypoint(self, kind: Kind) -> list[str]:
        """As the kind's Dockerfile has it: its folder is /simctl/KIND."""
        folder = Path("/simctl", kind.kind)
        words = [word.replace("{python}", "python3") for word in kind.entrypoint]
        return [str(folder / word) if (kind.folder / word).is_file() else word for word in words]

    def exec(self, name: str, command: Sequence[str], timeout: float) -> ExecResult:
        """As Runtime.exec. Status 124: it took longer than `timeout`, and was ended."""
        container, what = self._containers[name].id, f"cannot run {command[0]} in node {name}"
        return run_command(
            self._client, container, command, timeout, what, lambda pid: self._with_pids("kill", str(pid))
        )

    def set_hosts(self, name: str, text: str) -> None:
        """In the file that is mounted, which stays the same one; or, where the engine may not see our files, in a new
        one."""
        container = self._containers[name]
        if self._probe_image is None:
            hosts_path(container.plan).write_text(text)
            return
        with dockerengine.engine_errors(f"cannot write the /etc/hosts of node {name}"):
            self._client.put_archive(container.id, "/", hosts_archive(text))

    # -- down ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """As Runtime.stop: removes the containers that this instance made, by their ids."""
        self._making.close()
        self._making.wait(_STOP_TIMEOUT)  # a container that is being created gets recorded first
        with self._lock:
            containers = list(self._containers.values())
        executor = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="docker-stop")
        removals = {executor.submit(dockerengine.remove, self._client, c.id): c for c in containers}
        executor.shutdown(wait=False)
        done, late = wait(removals, timeout=_STOP_TIMEOUT)
        failed = [removal for removal in done if removal.exception()]
        left = [removals[removal] for removal in [*failed, *late]]
        self._forget([container for container in containers if container not in left])
        if self._deaths is not None:
            self._deaths.close()
        if left:
            raise EnvironmentFailure(
                f"not removed: {', '.join(f'container {c.id[:12]} ({c.plan.node.name})' for c in left)}",
                hint="simctl clean removes what is left",
                detail=[str(removal.exception()) for removal in failed],
            )

    def _forget(self, containers: Sequence[_Container]) -> None:
        for container in containers:
            if container.streams is not None:
                container.streams.close()
            with self._lock:
                del self._containers[container.plan.node.name]
