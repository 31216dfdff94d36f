"""Every bundled scenario on every runtime: it holds, and no witness of the run contradicts another."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.history.build import history_of
from orchestrator.kinds.registry import kind_names
from orchestrator.recording.folder import RunFolder
from orchestrator.runtimes.docker import images
from orchestrator.scenario.loader import bundled_scenarios
from tests.conftest import Simctl

HOURS = {"keepalive-probes", "peer-vanishes"}
"""Scenarios that take long in real time: they run in virtual time only."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("runtime", "left_out"),
    [
        pytest.param("netns", HOURS, marks=[pytest.mark.netns, pytest.mark.kinds(*kind_names())]),
        pytest.param("docker", HOURS, marks=[pytest.mark.docker, pytest.mark.images(*kind_names(), images.PROBE)]),
        pytest.param("vm", set(), marks=pytest.mark.vm),
    ],
)
def test_no_witness_contradicts_another(simctl: Simctl, tmp_path: Path, runtime: str, left_out: set[str]) -> None:
    names = set(bundled_scenarios()) - left_out
    done = simctl("run", *sorted(names), "-r", runtime, "--jobs", "3", "-q", "-o", tmp_path / "runs", timeout=850)
    assert done.returncode == 0, done.stderr + done.stdout
    runs = [
        RunFolder.open(folder) for folder in sorted((tmp_path / "runs").iterdir()) if (folder / "env.json").exists()
    ]
    told = {folder.path.name: history_of(folder) for folder in runs}
    assert len(told) >= len(names)
    assert {name: found.contradictions for name, found in told.items() if found.contradictions} == {}
    inexact = {name: found.notes for name, found in told.items() if not found.exact}
    assert inexact == {}
