"""Requests about the fabric of a lab: its networks, what is done to them, and what goes over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.observe.requests import Handlers, Message
from orchestrator.observe.requests.watching import Watching

if TYPE_CHECKING:
    from orchestrator.fabric.faults import Faults
    from orchestrator.fabric.wiring import Fabric
    from orchestrator.observe.capture.capture import Capture


class Wiring:
    """The fabric between the nodes that are watched, in the probe's own network namespace."""

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._fabric: Fabric | None = None
        self._faults: Faults | None = None
        self._capture: Capture | None = None
        self.handlers: Handlers = {
            "wire": self._wire,
            "fault": self._fault,
            "capture": self._start_capture,
            "capture_end": self._end_capture,
        }

    @property
    def fabric(self) -> Fabric:
        if self._fabric is None:
            raise ValueError("there are no networks before `wire`")
        return self._fabric

    def ahead(self) -> None:
        """Make now what no topology decides. In the probe's own network namespace."""
        from orchestrator.fabric.wiring import Fabric

        self._fabric = Fabric()

    def _wire(self, message: Message) -> Message:
        from orchestrator.fabric.wiring import Leg

        if self._fabric is None:
            self.ahead()
        for network in message["networks"]:
            self.fabric.add_network(network)
        legs = [Leg(**leg) for leg in message["legs"]]
        namespaces = self._watching.sampler.namespaces()
        self.fabric.add_legs(legs, namespaces, message["sysctls"], message.get("routes", {}))
        self._watching.take_segments({port: leg.node for port, leg in self.fabric.ports.items()})
        return {}

    def _fault(self, message: Message) -> Message:
        from orchestrator.fabric.faults import Faults
        from orchestrator.fabric.faults.base import Wired

        if self._faults is None:
            sampler = self._watching.sampler
            self._faults = Faults(Wired(self.fabric, sampler.namespaces(), sampler.home, self._report))
        count = self._faults.act(message["name"], message["action"], message["node"], message["settings"])
        return {"count": count}

    def _report(self, number: int, rule: str, verdict: str) -> None:
        from orchestrator.fabric.faults.nftables import GROUP
        from orchestrator.observe.sources.filtered import Rule

        ports = {port: leg.node for port, leg in self.fabric.ports.items()}
        self._watching.report_filtered(GROUP, number, Rule(rule, verdict), ports)

    def _start_capture(self, message: Message) -> Message:
        from orchestrator.observe.capture.capture import Capture

        folder = Path(message["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        self._capture = Capture(folder, self.fabric.ports, self._watching.zero)
        return {}

    def _end_capture(self, message: Message) -> Message:
        assert self._capture is not None
        capture, self._capture = self._capture, None
        files = capture.finish()
        return {"notes": [captured.summary(f"{capture.folder.name}/{name}.pcapng") for name, captured in files.items()]}
