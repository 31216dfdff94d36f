"""What a killed simctl may leave at the engine: containers of foreign images, traces of probes in containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.engine.client import connect, engine_answers
from orchestrator.runtimes.ability import Report
from orchestrator.runtimes.docker import containers

if TYPE_CHECKING:
    from docker import APIClient


def clean(report: Report) -> Iterator[str]:
    """Containers before traces: a probe that is killed leaves one."""
    answers, why = engine_answers()
    if not answers:
        report(f"containers were not looked for: {why}")
        return
    client = connect()
    for leftover in containers.clean(client):
        yield f"container {leftover}"
    yield from _traces(client)


def _traces(client: APIClient) -> Iterator[str]:
    """Where the probe is a container: what probes that were killed left on the engine's machine."""
    from orchestrator.runtimes.docker.images import any_probe_image
    from orchestrator.runtimes.docker.probeplace import probe_place

    image = any_probe_image(client)
    if image is None or not probe_place(client).container:  # without an image, no container was ever a probe
        return
    from orchestrator.runtimes.docker.askprobe import ask_probe

    for name in ask_probe(client, image, "leftovers")["removed"]:
        yield f"trace instance {name}"
