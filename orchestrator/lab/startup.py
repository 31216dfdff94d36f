"""From wired namespaces to nodes that are ready: who may go when, and the error for one that does not come up."""

from __future__ import annotations

import re
import signal as signals
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from orchestrator.errors import NodeFailure
from orchestrator.kinds.registry import Kind
from orchestrator.lab.channel import Channel
from orchestrator.lab.health import Health
from orchestrator.runtimes.base import Runtime
from orchestrator.text.numbers import plural
from orchestrator.topology.model import Node, Topology
from orchestrator.topology.order import start_order

_POLL = 0.01
_RELOAD_TIMEOUT = 30.0
_DYING = 1.0
"""Seconds between the end of a container's process and the end of its output, at most."""

_HTTP_PORT_FLAG = re.compile(r"--httpPort[= ](\d+)")


class Startup:
    """Starts the programs of one lab. `listening` gives the ports on which a node listens now."""

    def __init__(
        self,
        topology: Topology,
        kinds: Mapping[str, Kind],
        runtime: Runtime,
        channels: Mapping[str, Channel],
        *,
        listening: Callable[[str], list[int]],
        on_ready: Callable[[str], None],
        timeout: float,
    ) -> None:
        self._topology = topology
        self._kinds = kinds
        self._runtime = runtime
        self._channels = channels
        self._listening = listening
        self._on_ready = on_ready
        self._timeout = timeout
        self._health: dict[str, Health] = {}
        self._changed: dict[str, dict[str, str]] = {}
        """Node -> variables that have another value than in the topology."""

    def start_early(self) -> None:
        """Start the programs that need no network yet, so that interpreters start while the fabric is made."""
        for node in self._topology.nodes:
            if self._starts_early(node):
                self._channels[node.name].go()

    def _starts_early(self, node: Node) -> bool:
        """A node that must wait for a healthy one starts in its turn."""
        kind = self._kinds.get(node.kind or "")
        return kind is not None and kind.early and "service_healthy" not in node.depends_on.values()

    def raise_if_any_died(self) -> None:
        """A foreign image has no `go`: it may have ended before it was wired, and that is the error to report."""
        for node in self._topology.nodes:
            if self._channels[node.name].wait_exited(_DYING if node.kind is None else 0):
                raise self._died_at_start(node)

    def _died_at_start(self, node: Node) -> NodeFailure:
        channel = self._channels[node.name]
        how = channel.exited or self._runtime.exited(node.name) or "its output is closed"
        return channel.failure(f"died at start ({how})", place=node.place)

    def start_programs(self) -> None:
        """Start programs in the order of `depends_on`, waiting where a service must be healthy first."""
        waited_for = {
            service
            for node in self._topology.nodes
            for service, condition in node.depends_on.items()
            if condition == "service_healthy"
        }
        pending: list[Node] = []
        for wave in start_order(self._topology):
            for node in wave:
                if node.kind is not None and not self._starts_early(node):
                    self._channels[node.name].go()
                pending.append(node)
            now = [node for node in pending if node.service in waited_for]
            self._wait_ready(now)
            pending = [node for node in pending if node not in now]
        self._wait_ready(pending)

    def again(self, nodes: Sequence[Node], variables: Mapping[str, str], may_fail: bool) -> list[NodeFailure]:
        """Start programs that have ended, with these variables changed, and wait until all are ready. Raises
        NodeFailure for one that ends before, or returns them where they `may_fail`."""
        for node in nodes:
            self._changed.setdefault(node.name, {}).update(variables)
            self._health.pop(node.name, None)
            self._channels[node.name].go_again(variables)
        failed: list[NodeFailure] = []
        self._wait_ready(nodes, failed if may_fail else None)
        return failed

    def reload(self, node: Node, variables: Mapping[str, str]) -> None:
        """Have its configuration written with these variables changed, and its program told. Raises NodeFailure."""
        kind = self._kinds[node.kind or ""]
        assert kind.reload is not None
        changed = self._changed.setdefault(node.name, {})
        changed.update(variables)
        words = [f"{variable}={value}" for variable, value in changed.items()]
        command = ["env", *words, "SIMCTL_RELOAD=1", *self._runtime.entrypoint(kind)]
        done = self._runtime.exec(node.name, command, _RELOAD_TIMEOUT)
        if done.status != 0:
            said = done.output.strip().rpartition("\n")[2]
            raise self._channels[node.name].failure(f"did not take its new configuration: {said or done.how}")
        if kind.reload.signal is not None:
            self._runtime.signal(node.name, signals.Signals[f"SIG{kind.reload.signal}"], alone=True)

    def _wait_ready(self, nodes: Sequence[Node], failed: list[NodeFailure] | None = None) -> None:
        deadline = time.monotonic() + self._timeout
        waiting = list(nodes)
        while waiting:
            for node in list(waiting):
                self._channels[node.name].check()
                if not self._channels[node.name].alive:
                    if failed is None:
                        raise self._died_at_start(node)
                    failed.append(self._died_at_start(node))
                    waiting.remove(node)
                elif self._is_ready(node) and self._is_healthy(node, deadline):
                    waiting.remove(node)
                    self._on_ready(node.name)
            if waiting and time.monotonic() > deadline:
                late = waiting[0]
                raise self._channels[late.name].failure(
                    f"was not ready within {self._timeout:g} s: {self._awaited(late)}",
                    place=late.place,
                    hint="give it longer with --ready-timeout, if it is only slow",
                )
            if waiting:
                time.sleep(_POLL)

    def _is_ready(self, node: Node) -> bool:
        kind = self._kinds.get(node.kind or "")
        if kind is None:
            return self._runtime.healthy(node.name)
        if kind.ready.event == "ready":
            return self._channels[node.name].reported_ready
        port = self._port(node, kind)
        return port is None or port in self._listening(node.name)

    def _is_healthy(self, node: Node, deadline: float) -> bool:
        """By the file's own check, which a kind's node runs once it is ready. Raises NodeFailure."""
        if node.kind is None or node.healthcheck is None:
            return True
        if (health := self._health.get(node.name)) is None:
            execute = partial(self._runtime.exec, node.name)
            health = self._health[node.name] = Health(node.healthcheck, execute)
        if health.look(deadline) or not health.unhealthy:
            return health.healthy
        raise NodeFailure(
            f"node {node.name} is unhealthy: {health.trouble}, {plural(health.failures, 'time')} in a row",
            place=node.place,
            hint="`simctl exec` in a lab of `simctl up` without this check shows why",
            detail=health.said[1:],
        )

    def _awaited(self, node: Node) -> str:
        kind = self._kinds.get(node.kind or "")
        if kind is None:
            return "its health check does not pass"
        if node.name in self._health:
            return self._health[node.name].trouble
        port = self._port(node, kind)
        return "its program never reported that it is" if port is None else f"it does not listen on port {port}"

    def _port(self, node: Node, kind: Kind) -> int | None:
        """The port on which the node will listen: the kind's own, unless a flag or its knob moves it."""
        if kind.ready.port is None:
            return None
        flag = _HTTP_PORT_FLAG.search(" ".join(node.command or ()))
        knob = "HTTP_PORT" if "HTTP_PORT" in kind.knobs else "PORT"
        moved = flag[1] if flag else {**node.environment, **self._changed.get(node.name, {})}.get(knob, "")
        return int(moved) if moved.isdigit() else kind.ready.port
