"""Which runtime a lab gets: what the user asked for, or what `auto` finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from orchestrator.errors import InputError
from orchestrator.kinds.registry import Kind
from orchestrator.runtimes.base import Runtime
from orchestrator.topology.model import Topology

RUNTIMES = ("auto", "netns", "docker", "vm")


@dataclass(frozen=True, slots=True)
class Choice:
    """The runtime's name, and why in a few words for the user."""

    name: str
    why: str


def choose(requested: str, topology: Topology, kinds: Mapping[str, Kind]) -> Choice:
    """`auto` is docker when an engine answers and all images are there, that of the probe included; otherwise netns."""
    if requested not in RUNTIMES:
        raise InputError(f"unknown runtime {requested!r}", hint=f"one of {', '.join(RUNTIMES)}")
    if requested != "auto":
        return Choice(requested, "asked for")
    from orchestrator.engine.client import engine_answers

    answers, reason = engine_answers()
    if not answers:
        return Choice("netns", f"{reason}; for containers start an engine and use --runtime docker")
    from orchestrator.engine.client import connect
    from orchestrator.runtimes.docker.images import PROBE, missing_images
    from orchestrator.runtimes.docker.probeplace import probe_place

    with closing(connect()) as client:
        probe = [PROBE] if probe_place(client).container else []
        missing = missing_images([*used_kinds(topology, kinds), *probe], client=client)
    if missing:
        return Choice("netns", f"image {missing[0]} is not built; for containers: simctl images build")
    return Choice("docker", "an engine answers and has the images; without containers: --runtime netns")


def used_kinds(topology: Topology, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kinds that a topology names."""
    names = {node.kind for node in topology.nodes if node.kind is not None}
    return {name: kinds[name] for name in sorted(names)}


def create(
    choice: Choice,
    topology: Topology,
    kinds: Mapping[str, Kind],
    *,
    allow_exec: bool,
    progress: Callable[[str], None],
) -> Runtime:
    """The runtime itself, with everything made that it needs first (docker: images).

    What it cannot do with this topology is refused here, before anything is started or written: InputError or
    EnvironmentFailure.
    """
    if choice.name == "netns":
        from orchestrator.kinds.prepare import prepare
        from orchestrator.runtimes.netns.runtime import NetnsRuntime

        runtime = NetnsRuntime(kinds, allow_exec=allow_exec)
        runtime.check(topology.nodes)
        prepare(used_kinds(topology, kinds).values(), progress)
        return runtime
    if choice.name == "vm":
        raise InputError(
            "the runtime vm executes whole runs: a standing lab needs real time",
            hint="use --runtime netns or docker, or `simctl run`",
        )
    from orchestrator.engine.client import connect
    from orchestrator.runtimes.docker.containers import check, clean
    from orchestrator.runtimes.docker.images import PROBE, ensure_images
    from orchestrator.runtimes.docker.probeplace import probe_place
    from orchestrator.runtimes.docker.runtime import DockerRuntime

    client = connect()
    place = probe_place(client)
    check(client, topology.nodes)
    for leftover in clean(client):
        progress(f"removed {leftover}, left by a simctl that was killed")
    wanted = [*used_kinds(topology, kinds), *([PROBE] if place.container else [])]
    images = ensure_images(wanted, progress=progress, client=client)
    if place.container:
        progress(f"the probe is a container: {place.why}")
    return DockerRuntime(client, images, probe_image=images.get(PROBE))
