"""An interrupt of the docker runtime at the worst moment."""

from __future__ import annotations

import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.errors import Place
from orchestrator.runtimes.base import NodePlan
from orchestrator.runtimes.docker import images
from orchestrator.runtimes.docker.containers import RUN_LABEL
from orchestrator.runtimes.docker.runtime import DockerRuntime
from orchestrator.topology.model import Node

pytestmark = [pytest.mark.docker, pytest.mark.images("host"), pytest.mark.timeout(300)]


def test_an_interrupt_between_two_starts_loses_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a start was submitted, and before the future of it is noted."""
    begun: list[Future[Any]] = []

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
            begun.append(super().submit(*arguments, **keywords))
            raise KeyboardInterrupt

    run = f"test-{uuid.uuid4().hex[:12]}"
    client = dockerengine.connect()
    runtime = DockerRuntime(client, images.ensure_images(["host"], progress=lambda text: None, client=client), run=run)
    node = Node("n0", "n0", "simctl/host", "host", Place("x"))
    monkeypatch.setattr("orchestrator.runtimes.docker.runtime.ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        runtime.start([NodePlan(node, (), {}, tmp_path / "n0.log")])
    monkeypatch.undo()
    runtime.stop()
    wait(begun)
    assert client.containers(all=True, filters={"label": f"{RUN_LABEL}={run}"}) == []
