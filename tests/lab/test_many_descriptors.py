"""A lab of many nodes has more descriptors than select(2) knows."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from orchestrator.system.linux import readable
from tests.conftest import Simctl


def test_a_descriptor_of_any_number() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    ours, theirs = socket.socketpair()
    high = os.dup2(ours.fileno(), min(4096, hard) - 1)
    try:
        assert readable([high, theirs.fileno()], 0) == []
        theirs.send(b"x")
        assert readable([high, theirs.fileno()]) == [high]
        theirs.close()
        assert readable([high], 1) == [high], "its end"
    finally:
        os.close(high)
        ours.close()
        theirs.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.netns
@pytest.mark.slow
def test_a_standing_lab_of_many_nodes_stands(simctl: Simctl, tmp_path: Path) -> None:
    """Its daemon ended as soon as it was to answer."""
    (tmp_path / "many.yaml").write_text("services: {n: {image: simctl/host, deploy: {replicas: 600}}}\n")
    assert simctl("up", tmp_path / "many.yaml", "-r", "netns", "-q").returncode == 0
    try:
        told = simctl("ps")
        assert told.returncode == 0, told.stderr
        assert told.stdout.count(" up") == 600
    finally:
        assert simctl("down", "many").returncode == 0
