"""A lab: the nodes of one topology, brought up, wired and observed, and taken down again.

    with Lab(topology, runtime, kinds, folder) as lab:   # up
        lab.mark("start")                                # a named moment: a sample, ss and netstat of every node
        lab.channels["client"].command(...)              # drive
                                                         # down, whatever happened

Order of birth: addresses are claimed, the probe's interpreter starts while the runtime makes the namespaces, the probe
wires them, and only then each program starts, so that none sees a half-made network.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from orchestrator.errors import EnvironmentFailure
from orchestrator.fabric.addresses import AddressPlan, Claim, SubnetClaim, plan_addresses
from orchestrator.fabric.nats import nats, routers
from orchestrator.kinds.registry import Kind
from orchestrator.lab.channel import Channel
from orchestrator.lab.describe import describe
from orchestrator.lab.logs import NodeLogs
from orchestrator.lab.names import Names
from orchestrator.lab.nodeevents import NodeEvents
from orchestrator.lab.readytimeout import READY_TIMEOUT
from orchestrator.lab.startup import Startup
from orchestrator.observe.pace import REAL, Pace
from orchestrator.observe.process import ProbeProcess
from orchestrator.observe.session import Session, SessionFiles
from orchestrator.runtimes.base import NodePlan, Runtime
from orchestrator.text.progress import Progress
from orchestrator.text.record import record
from orchestrator.topology.model import Topology

_LAST_WORDS = 0.01
"""Seconds in which what nodes have reported is taken from their pipes, in a lab that is not taken down."""


@record
class LabFolder:
    """Where a lab writes: the event file, node logs, socket texts by moment; captures of its networks, if any."""

    events: Path
    logs: Path
    texts: Path
    captures: Path | None = None


@record
class LabSettings:
    """How a lab is brought up and watched."""

    scenario: str = ""
    """What a run is called in its recording."""
    pace: Pace = REAL
    trace: bool = True
    """Whether the kernel shall report every change of state, where it can."""
    ready_timeout: float = READY_TIMEOUT
    """Seconds that a node may take until it is ready."""
    progress: Progress = lambda text: None
    """Gets each phase in a few words."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """What the kernel must be able to do to the network (observe/abilities.try_faults) -> what needs it, in words."""
    left_up: bool = False
    """The machine ends with this lab, so nothing is taken down that ends with it anyway."""


class Lab:
    """One lab: its nodes by a runtime, its networks by the fabric, and the session that watches both."""

    def __init__(
        self,
        topology: Topology,
        runtime: Runtime,
        kinds: Mapping[str, Kind],
        folder: LabFolder,
        settings: LabSettings | None = None,
    ) -> None:
        settings = settings or LabSettings()
        self.topology = topology
        self.runtime = runtime
        self.pace = settings.pace
        self.channels: dict[str, Channel] = {}
        self.plan: AddressPlan | None = None
        self.pids: dict[str, int] = {}
        self.containers: dict[str, str] = {}
        """Ids of the nodes that are containers."""
        self.undo: dict[str, Callable[[], None]] = {}
        """Step -> what takes back what it did to the network."""
        self._kinds = kinds
        self._folder = folder
        self._settings = settings
        files = SessionFiles(folder.events, folder.logs / "probe.log", folder.texts)
        self.session = Session(self._start_probe, files, settings.pace)
        self.events = NodeEvents(self.session, folder.logs)
        self._logs = NodeLogs(self.session.write, self.session.now, self.session.note)
        self._startup: Startup | None = None
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
        if self._settings.left_up:
            self._leave()
        else:
            self._cleanup.close()

    # -- up ------------------------------------------------------------------------------------------------------

    def _up(self) -> None:
        self._folder.logs.mkdir(parents=True, exist_ok=True)
        self._cleanup.enter_context(self.session)
        self._refuse_what_cannot_be()
        # Who claims our addresses is on the machine that has the nodes.
        claim: Claim = self._cleanup.enter_context(SubnetClaim()) if self.here else self.session.probe
        self.plan = plan_addresses(self.topology, claim, routers(self.topology, self._kinds))
        self.names = Names(self.plan, self.runtime)
        nodes = [describe(node, self._kinds.get(node.kind or ""), self.plan) for node in self.topology.nodes]
        self.session.begin(nodes, scenario=self._settings.scenario, runtime=self.runtime.name)
        self._start_nodes(self.plan)
        startup = self._startup = Startup(
            self.topology,
            self._kinds,
            self.runtime,
            self.channels,
            listening=self.session.probe.listening,
            on_ready=lambda name: self.events.happened(name, "ready"),
            timeout=self._settings.ready_timeout,
        )
        startup.start_early()
        try:
            self._watch_and_wire(self.plan)
        except EnvironmentFailure:
            startup.raise_if_any_died()
            raise
        startup.start_programs()

    def _refuse_what_cannot_be(self) -> None:
        """Raise EnvironmentFailure for a fault that this machine's kernel cannot do. No node has been started."""
        if not self._settings.needs:
            return
        outcome = self.session.probe.call("faults", names=list(self._settings.needs))["outcome"]
        for name, who in self._settings.needs.items():
            reason = outcome.get(name, outcome.get("child", "it was not found out"))
            if reason is not None:
                raise EnvironmentFailure(
                    f"{who} needs {name}, which this machine does not have: {reason}",
                    hint=None if self.runtime.name == "vm" else "the kernel of --runtime vm has it",
                )

    def _start_probe(self) -> ProbeProcess:
        return self.runtime.start_probe(self._folder.logs / "probe.log")

    def _start_nodes(self, plan: AddressPlan) -> None:
        plans = [
            NodePlan(
                node,
                plan.interfaces[node.name],
                plan.hosts[node.name],
                self.log(node.name),
                kind.capabilities if (kind := self._kinds.get(node.kind or "")) else (),
            )
            for node in self.topology.nodes
        ]
        kinds = {node.name: self._kinds.get(node.kind or "") for node in self.topology.nodes}
        roles = {name: kind.role for name, kind in kinds.items() if kind is not None and kind.events}
        self._cleanup.callback(self._down)
        for name, node in self.runtime.start(plans).items():
            self.pids[name] = node.pid
            if "container" in node.detail:
                self.containers[name] = node.detail["container"]
            self.channels[name] = Channel(node, self.log(name), self.events.reported, roles.get(name))
            if (kind := kinds[name]) is not None:
                self._logs.add(name, self.log(name), kind.log)
            self.events.happened(name, "started", pid=node.pid, **node.detail)

    def _watch_and_wire(self, plan: AddressPlan) -> None:
        self.session.start(self.runtime.user_namespace)
        if self._settings.trace:
            self.session.trace(plan.nodes, unprivileged=self.runtime.user_namespace is not None)
        self.session.watch(self.pids, [node.name for node in nats(self.topology, self._kinds)])
        self.session.probe.call(
            "wire",
            networks=[network.name for network in self.topology.networks],
            legs=[{"node": name, **asdict(leg)} for name, legs in plan.interfaces.items() for leg in legs],
            sysctls={node.name: dict(node.sysctls) for node in self.topology.nodes},
            routes=plan.gateways,
        )
        for one in plan.virtual.values():
            self.fault("address", "apply", one.node, address=one.address, network=one.network, announce=False)
        if self._folder.captures is not None:
            self._folder.captures.mkdir()
            self.session.probe.start_capture(self._folder.captures.resolve())

    @property
    def here(self) -> bool:
        """Whether the probe is beside us: otherwise the nodes' processes are another machine's, or root's alone."""
        return self.session.probe.here

    # -- use -----------------------------------------------------------------------------------------------------

    def sample(self, *, on: bool) -> None:
        """Begin or end sampling."""
        self.session.sample(on=on)

    def mark(self, *names: str, texts: bool = True) -> float:
        """A named moment; see Session.mark."""
        t = self.session.mark(*names, texts=texts)
        self._logs.read()
        return t

    def fault(self, name: str, action: str, node: str, **settings: Any) -> int | None:
        """`apply` a fault to a node, or `heal` it; both are done when this returns. See fabric/faults."""
        answer = self.session.probe.call("fault", name=name, action=action, node=node, settings=settings)
        if (name, action) == ("address", "apply"):
            self.names.moved(settings["address"], node)
        return cast("int | None", answer["count"])

    def expect_end(self, name: str) -> None:
        """A step ends this node on purpose."""
        self.events.expect_end(name)

    def start_programs(self, names: Sequence[str], knobs: Mapping[str, str], *, may_fail: bool) -> None:
        """Start the programs of these nodes, which have ended, again; see Startup.again. Those that fail are noted."""
        assert self._startup is not None
        self.events.expect_no_end(*names)
        nodes = [node for node in self.topology.nodes if node.name in names]
        for failure in self._startup.again(nodes, knobs, may_fail):
            self.session.note(f"{failure.message}: {failure.detail[-1].strip()}")

    def reload(self, name: str, knobs: Mapping[str, str]) -> None:
        """Give a node's program a new configuration with these knobs changed; see Startup.reload."""
        assert self._startup is not None
        self._startup.reload(self.topology.resolve(name)[0], knobs)

    def node_event(self, name: str, what: str, **detail: Any) -> None:
        """Something befell a node."""
        self.events.happened(name, what, **detail)

    def check(self) -> None:
        """Raise when the lab is no longer what it claims to be."""
        self.session.check()
        for channel in self.channels.values():
            channel.check()

    def finish(self, outcome: str, detail: str = "") -> None:
        """Close the recording: `done`, `interrupted` or `failed`. The teardown is no part of it."""
        self.events.expect_end(*self.channels)
        self._logs.read()
        self.session.stop()
        if self._folder.captures is not None:
            self._end_capture(self._folder.captures.resolve())
        self.session.end(outcome, detail)

    def _end_capture(self, folder: Path) -> None:
        with contextlib.suppress(EnvironmentFailure):  # the files are finished without the probe too
            for text in self.session.probe.end_capture(folder):
                self.session.note(text)

    def log(self, name: str) -> Path:
        """Where a node's standard error goes."""
        return self._folder.logs / f"{name}.log"

    # -- down ----------------------------------------------------------------------------------------------------

    def _down(self) -> None:
        self._settings.progress("down")
        self.session.probe.begin_close()
        for channel in self.channels.values():
            channel.close()
        self.runtime.stop()
        for channel in self.channels.values():
            channel.join()

    def _leave(self) -> None:
        """What of a teardown the recording shows."""
        time.sleep(_LAST_WORDS)
        self.session.close_recording()
        for channel in self.channels.values():
            channel.bound_log()
