"""Nodes that lie, flood or never end: simctl says so with the node's name, needs little, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runtimes.docker.images import PROBE
from tests.torture import hostile
from tests.torture.hostilenodes import play

QUICK = ("traced", "escape", "errors", "client-no-id", "http-endless-body")
"""One of each kind of thing."""

ON_OTHERS = ("note", "moment", "no-newline", "errors", "client-never", "client-deep", "http-silent", "deep", "abort")


@pytest.mark.netns
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "mode", [pytest.param(mode, marks=[] if mode in QUICK else pytest.mark.slow) for mode in hostile.MODES]
)
def test_on_netns(tmp_path: Path, mode: str, as_root: None) -> None:
    endures(mode, "netns", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ON_OTHERS)
@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("requests", "origin", PROBE)]),
        pytest.param("vm", marks=pytest.mark.vm),
    ],
)
def test_elsewhere(tmp_path: Path, runtime: str, mode: str) -> None:
    endures(mode, runtime, tmp_path)


def endures(mode: str, runtime: str, folder: Path) -> None:
    shared = set(os.listdir("/dev/shm"))  # noqa: PTH208
    found: Any = play(mode, runtime, folder / "lab")
    assert not found.wrong, f"{found.wrong}\n{found.said}"
    assert set(os.listdir("/dev/shm")) <= shared  # noqa: PTH208
    if mode in hostile.LINES and mode in ("note", "traced", "state", "moment", "end", "begin", "tick", "request"):
        assert f"node server wrote a line `{mode}`, which it may not" in found.said
