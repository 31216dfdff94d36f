"""Whose a container is: one is called left behind only where its starter is surely gone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator.runtimes.docker import containers as dockercontainers


def test_our_own_containers_are_no_leftovers() -> None:
    assert not dockercontainers.starter_is_dead(dockercontainers.labels("run", "node"))


def test_a_starter_that_ended_is_dead() -> None:
    code = (
        "from orchestrator.runtimes.docker.containers import labels; import json; print(json.dumps(labels('r', 'n')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert dockercontainers.starter_is_dead(json.loads(done.stdout))


def test_a_pid_that_was_reused_is_not_the_starter() -> None:
    labels = dockercontainers.labels("run", "node")
    pid, start = labels["simctl.pid"].split()
    assert dockercontainers.starter_is_dead(labels | {"simctl.pid": f"{pid} {int(start) - 1}"})


@pytest.mark.parametrize(
    "change",
    [
        {"simctl.machine": "of-another-boot pid:[4026531836]"},
        {"simctl.pid": "not a pid"},
        {"simctl.pid": ""},
    ],
)
def test_what_cannot_be_judged_is_left_alone(change: dict[str, str]) -> None:
    assert not dockercontainers.starter_is_dead(dockercontainers.labels("run", "node") | {"simctl.pid": "1 1"} | change)
    assert not dockercontainers.starter_is_dead({})
