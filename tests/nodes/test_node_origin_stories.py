"""The bundled scenarios about close modes and faults of the reference server hold."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Simctl

SHORT = ("executed-twice", "full-backlog", "reset-on-idle")
ALL = (*SHORT, "half-close-held")
IMAGES = pytest.mark.images("origin", "requests")


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("runtime", "names"),
    [
        pytest.param("netns", SHORT, marks=pytest.mark.netns),
        pytest.param("netns", ALL, marks=[pytest.mark.netns, pytest.mark.slow]),
        pytest.param("docker", ALL, marks=[pytest.mark.docker, IMAGES, pytest.mark.slow]),
    ],
)
def test_stories(simctl: Simctl, runtime: str, names: tuple[str, ...]) -> None:
    done = simctl("run", *names, "-r", runtime, "--jobs", "3", "-q", "--format", "json", timeout=200)
    reports = json.loads(done.stdout)
    failed = [verdict for report in reports for verdict in report["verdicts"] if verdict["outcome"] != "pass"]
    assert (sorted(report["scenario"] for report in reports), failed) == (sorted(names), []), done.stderr
    assert done.returncode == 0
