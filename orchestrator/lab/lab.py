"""A lab: the nodes of one topology, brought up, wired and observed, and taken down again.

    with Lab(topology, runtime, ...) as lab:      # up
        lab.mark("start")                         # a named moment: a sample, ss and netstat of every node
        lab.channels["client"].command(...)       # drive
                                                  # down, whatever happened

Order of birth: addresses are claimed, the probe's interpreter starts while the runtime makes the namespaces, the probe
wires them, and only then each program starts, so that none sees a half-made network.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from orchestrator.errors import EnvironmentFailure
from orchestrator.fabric.addresses import AddressPlan, Claim, SubnetClaim, plan_addresses
from orchestrator.fabric.nats import nats, routers
from orchestrator.kinds.registry import Kind
from orchestrator.lab.channel import Channel
from orchestrator.lab.readytimeout import READY_TIMEOUT
from orchestrator.lab.startup import Startup
from orchestrator.observe.client import ProbeClient
from orchestrator.observe.pace import REAL, Pace
from orchestrator.recording.events import FORMAT, Event
from orchestrator.recording.writer import EventWriter
from orchestrator.runtimes.base import Exited, NodePlan, Runtime
from orchestrator.topology.model import Node, Topology


@dataclass(frozen=True, slots=True)
class LabFolder:
    """Where a lab writes: the event file, node logs, socket texts by moment; captures of its networks, if any."""

    events: Path
    logs: Path
    texts: Path
    captures: Path | None = None


class Lab:
    """One lab. `progress` is told each phase in a few words; `names` maps what a run is called in its recording."""

    def __init__(
        self,
        topology: Topology,
        runtime: Runtime,
        kinds: Mapping[str, Kind],
        folder: LabFolder,
        *,
        scenario: str = "",
        pace: Pace = REAL,
        trace: bool = True,
        ready_timeout: float = READY_TIMEOUT,
        progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.topology = topology
        self.runtime = runtime
        self.channels: dict[str, Channel] = {}
        self.plan: AddressPlan | None = None
        self.pace = pace
        self.pids: dict[str, int] = {}
        self.containers: dict[str, str] = {}
        """Ids of the nodes that are containers."""
        self._kinds = kinds
        self._folder = folder
        self._scenario = scenario
        self._trace = trace
        self._ready_timeout = ready_timeout
        self._progress = progress
        self._zero = 0.0
        self._zero_of_nodes = 0.0
        self._step = ""
        self._expected_ends: set[str] = set()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        try:
            self._up()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    # -- up ------------------------------------------------------------------------------------------------------

    def _up(self) -> None:
        self._folder.logs.mkdir(parents=True, exist_ok=True)
        self._writer = EventWriter(self._folder.events)
        self._cleanup.callback(self._writer.close)
        self._start_probe()
        self.plan = plan_addresses(self.topology, self._claim(), routers(self.topology, self._kinds))
        self._zero = time.monotonic()
        self._zero_of_nodes = self._probe.clock_at(self._zero)
        self._write_begin()
        self._start_nodes()
        startup = Startup(
            self.topology,
            self._kinds,
            self.runtime,
            self.channels,
            listening=lambda name: list(self._probe.call("listening", node=name)["ports"]),
            on_ready=lambda name: self._node_event(name, "ready"),
            timeout=self._ready_timeout,
        )
        startup.start_early()
        try:
            self._wire()
        except EnvironmentFailure:
            startup.raise_if_any_died()
            raise
        startup.start_programs()

    def _start_probe(self) -> None:
        log = self._folder.logs / "probe.log"
        process = self.runtime.start_probe(log, capture=self._folder.captures is not None)
        self._probe = ProbeClient(process, log, self._writer.write_lines)
        self._cleanup.callback(self._probe.close)

    def _claim(self) -> Claim:
        """Who claims our addresses: somebody on the machine that has the nodes."""
        return self._cleanup.enter_context(SubnetClaim()) if self._probe.here else self._probe

    def _write_begin(self) -> None:
        assert self.plan is not None
        nodes = [self._describe(node) for node in self.topology.nodes]
        self._writer.write(
            {"t": 0, "ev": "begin", "format": FORMAT, "scenario": self._scenario, "runtime": self.runtime.name,
             "clock": self.pace.clock, "period": self.pace.period, "quiet": self.pace.quiet, "nodes": nodes}
        )  # fmt: skip

    def _describe(self, node: Node) -> Event:
        assert self.plan is not None
        kind = self._kinds.get(node.kind or "")
        return {
            "name": node.name,
            "service": node.service,
            "kind": node.kind or node.image,
            "role": kind.role if kind else "foreign",
            "events": bool(kind and kind.events),
            "addresses": [leg.address for leg in self.plan.interfaces[node.name]],
        }

    def _start_nodes(self) -> None:
        assert self.plan is not None
        plans = [
            NodePlan(
                node,
                self.plan.interfaces[node.name],
                self.plan.hosts[node.name],
                self.log(node.name),
                kind.capabilities if (kind := self._kinds.get(node.kind or "")) else (),
            )
            for node in self.topology.nodes
        ]
        self._cleanup.callback(self._down)
        started = self.runtime.start(plans)
        for name, node in started.items():
            self.pids[name] = node.pid
            if "container" in node.detail:
                self.containers[name] = node.detail["container"]
            self.channels[name] = Channel(node, self.log(name), self._on_event)
            self._node_event(name, "started", pid=node.pid, **node.detail)

    def _wire(self) -> None:
        assert self.plan is not None
        self._probe.call(
            "start",
            userns=self.runtime.user_namespace,
            zero=self._zero_of_nodes,
            period=self.pace.period,
            quiet=self.pace.quiet,
        )
        if self._trace:
            answer = self._probe.call(
                "trace", addresses=list(self.plan.nodes), unprivileged=self.runtime.user_namespace is not None
            )
            untraced = answer["untraced"]
            if untraced:
                self.note(
                    f"no kernel trace ({untraced}): samples {self.pace.period * 1000:g} ms apart are all there is"
                )
        self._probe.call(
            "wire",
            networks=[network.name for network in self.topology.networks],
            legs=[
                {"node": name, **asdict(leg)} for name, legs in self.plan.interfaces.items() for leg in legs
            ],
            pids=self.pids,
            sysctls={node.name: dict(node.sysctls) for node in self.topology.nodes},
            nats=[node.name for node in nats(self.topology, self._kinds)],
            routes={
                node: [(str(self.plan.subnets[way.network]), way.gateway) for way in ways]
                for node, ways in self.plan.routes.items()
            },
        )  # fmt: skip
        if self._folder.captures is not None:
            self._folder.captures.mkdir()
            self._probe.start_capture(self._folder.captures.resolve())

    @property
    def here(self) -> bool:
        """Whether the probe is beside us; otherwise the nodes' processes are another machine's, or root's alone."""
        return self._probe.here

    # -- use -----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._zero

    def sample(self, *, on: bool) -> None:
        self._probe.call("sample", on=on)

    def mark(self, *names: str, texts: bool = True) -> float:
        """A named moment: one sample of all nodes, the real ss and netstat of each. Several names may share it."""
        self.check()
        answer = self._probe.call("mark", texts=texts)
        for name in names:
            self._writer.write({"t": answer["t"], "ev": "moment", "name": name})
        if texts and names:
            self._keep_texts(names, answer["texts"])
        return float(answer["t"])

    def socket_texts(self) -> dict[str, dict[str, str]]:
        """What ss and netstat print now: node -> tool -> text."""
        texts: dict[str, dict[str, str]] = self._probe.call("mark", texts=True)["texts"]
        return texts

    def fault(self, name: str, action: str, node: str, **settings: Any) -> None:
        """`apply` a fault to a node, or `heal` it; both are done when this returns. See fabric/faults."""
        self._probe.call("fault", name=name, action=action, node=node, settings=settings)

    def set_step(self, name: str) -> None:
        """Requests that finish from here on belong to this step."""
        self._step = name

    def expect_end(self, name: str) -> None:
        """A step ends this node on purpose."""
        self._expected_ends.add(name)

    def note(self, text: str) -> None:
        self._writer.write({"t": round(self.now(), 6), "ev": "note", "text": text})

    def node_event(self, name: str, what: str, **detail: Any) -> None:
        self._node_event(name, what, **detail)

    def check(self) -> None:
        """Raise when the lab is no longer what it claims to be."""
        self._writer.check()
        if not self._probe.alive:
            self._probe.call("sample", on=False)

    def check_recording(self) -> None:
        """After the lab is down: raise when not all of the story could be written."""
        self._writer.check()

    def finish(self, outcome: str, detail: str = "") -> None:
        """Close the recording: `done`, `interrupted` or `failed`. The teardown is no part of the story."""
        self._expected_ends.update(self.channels)
        with contextlib.suppress(EnvironmentFailure):  # the probe may be what failed
            self.sample(on=False)
            self._probe.call("trace_end")
        if self._folder.captures is not None:
            self._end_capture(self._folder.captures.resolve())
        self._writer.write({"t": round(self.now(), 6), "ev": "end", "outcome": outcome, "detail": detail})

    def _end_capture(self, folder: Path) -> None:
        with contextlib.suppress(EnvironmentFailure):  # the files are finished without the probe too
            for text in self._probe.end_capture(folder):
                self.note(text)

    def log(self, name: str) -> Path:
        return self._folder.logs / f"{name}.log"

    def _keep_texts(self, names: Sequence[str], texts: Mapping[str, Mapping[str, str]]) -> None:
        first = self._folder.texts / names[0]
        first.mkdir(parents=True, exist_ok=True)
        for node, by_tool in texts.items():
            for tool, text in by_tool.items():
                (first / f"{node}.{tool}.txt").write_text(text)
        for other in names[1:]:
            (self._folder.texts / other).symlink_to(names[0], target_is_directory=True)

    def _on_event(self, name: str, event: Event) -> None:
        """From a node's reader thread: onto the run's clock, with the step that was going on."""
        if event["ev"] == "exited":
            how = Exited(event.get("status"), event.get("signal"))
            expected = name in self._expected_ends
            self._node_event(name, "ended" if expected else "exited", status=how.status, signal=how.signal)
            if not expected:
                log = Path(self.log(name).parent.name, self.log(name).name)
                self.note(f"{name}'s program ended by itself at {self.now():.2f}s ({how}); see {log}")
            return
        for key in ("t", "t0"):
            if isinstance(event.get(key), int | float):
                event[key] = round(event[key] - self._zero_of_nodes, 6)
        event.setdefault("t", round(self.now(), 6))
        event["node"] = name
        if event["ev"] == "request":
            event["step"] = self._step
        self._writer.write(event)

    def _node_event(self, name: str, what: str, **detail: Any) -> None:
        known = {key: value for key, value in detail.items() if value is not None}
        self._writer.write({"t": round(self.now(), 6), "ev": "node", "node": name, "what": what, "detail": known})

    # -- down ----------------------------------------------------------------------------------------------------

    def _down(self) -> None:
        self._progress("down")
        self._probe.begin_close()
        for channel in self.channels.values():
            channel.close()
        self.runtime.stop()
        for channel in self.channels.values():
            channel.join()
