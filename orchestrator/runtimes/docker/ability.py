"""What the runtime docker can do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from orchestrator.runtimes.ability import Ability, Images, Offer, Report, StandingNode, Wanted, used_kinds

if TYPE_CHECKING:
    from orchestrator.kinds.registry import Kind
    from orchestrator.observe.abilities import Outcome
    from orchestrator.runtimes.base import Runtime
    from orchestrator.runtimes.check import Check
    from orchestrator.topology.model import Topology


class Docker(Ability):
    """Nodes as containers of a Docker engine."""

    name = "docker"
    help = "nodes are containers"
    foreign_images = True
    needs = ("docker engine", "docker probe")

    def images(self) -> Images:
        from orchestrator.runtimes.docker.images import KindImages

        return KindImages()

    def offer(self, topology: Topology, kinds: Mapping[str, Kind]) -> Offer:
        """An engine answers and all images are there, that of the probe included."""
        from orchestrator.engine.client import connect, engine_answers

        answers, reason = engine_answers()
        if not answers:
            return Offer(False, f"{reason}; for containers start an engine and use --runtime docker")
        from orchestrator.runtimes.docker.images import PROBE, missing_images
        from orchestrator.runtimes.docker.probeplace import probe_place

        with closing(connect()) as client:
            probe = [PROBE] if probe_place(client).container else []
            missing = missing_images([*used_kinds(topology, kinds), *probe], client=client)
        if missing:
            return Offer(False, f"image {missing[0]} is not built; for containers: simctl images build")
        return Offer(True, "an engine answers and has the images; without containers: --runtime netns")

    def likely(self) -> bool:
        from orchestrator.engine.client import local_socket

        path = local_socket()
        return path is None or path.exists()

    def begin(self, scenario: str) -> None:
        """The probe, where it may turn out to be a process (probeplace.py)."""
        from orchestrator.engine.client import local_socket
        from orchestrator.observe import localprobe

        if os.geteuid() == 0 and local_socket() is not None:
            localprobe.begin()

    def create(self, wanted: Wanted) -> Runtime:
        from orchestrator.engine.client import connect
        from orchestrator.runtimes.docker.containers import check, clean
        from orchestrator.runtimes.docker.images import PROBE, ensure_images
        from orchestrator.runtimes.docker.probeplace import probe_place
        from orchestrator.runtimes.docker.runtime import DockerRuntime

        client = connect()
        place = probe_place(client)
        check(client, wanted.topology.nodes)
        for leftover in clean(client):
            wanted.progress(f"removed {leftover}, left by a simctl that was killed")
        needed = [*wanted.used_kinds, *([PROBE] if place.container else [])]
        images = ensure_images(needed, progress=wanted.progress, client=client)
        if place.container:
            wanted.progress(f"the probe is a container: {place.why}")
        return DockerRuntime(client, images, probe_image=images.get(PROBE))

    def checks(self, machine: Outcome) -> list[Check]:
        from orchestrator.runtimes.docker.doctor import checks

        return checks(machine)

    def clean(self, report: Report) -> Iterable[str]:
        from orchestrator.runtimes.docker.clean import clean

        return clean(report)

    def exec(self, node: StandingNode, command: Sequence[str]) -> int:
        from orchestrator.runtimes.docker.exec import exec_in_node

        return exec_in_node(node, command)


ABILITY = Docker()
