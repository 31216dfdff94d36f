"""What nodes run besides their programs, and what a lab passes over: told in real runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simctl

pytestmark = pytest.mark.netns

TOPOLOGY = """\
services:
  client: {{image: simctl/requests, depends_on: {{server: {{condition: service_healthy}}}}}}
  server:
    image: simctl/origin
    ports: ["8080:8080"]
    healthcheck: {{test: {test}, interval: 100ms, retries: {retries}}}
"""


def written(tmp_path: Path, rest: str, *, test: str = '["CMD", "true"]', retries: int = 3) -> Path:
    (tmp_path / "lab.yaml").write_text(TOPOLOGY.format(test=test, retries=retries))
    path = tmp_path / "demo.yaml"
    path.write_text(f"name: demo\ntopology: lab.yaml\n{rest}")
    return path


LOOK = "steps: [{name: look, wait: 10ms}]\n"


def document(simctl: Simctl, path: Path) -> dict[str, Any]:
    done = simctl("run", path, "-r", "netns", "--allow-exec", "--format", "json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_exec_starts_owns_its_sockets_and_what_is_passed_over_is_noted(simctl: Simctl, tmp_path: Path) -> None:
    held = "import socket, time; held = socket.create_connection(('server', 8080)); time.sleep(1)"
    command = json.dumps([sys.executable, "-c", held])
    rest = f"steps: [{{name: look, exec: {{node: client, command: {command}}}}}]\nexpect:\n"
    rest += "  - {that: it is python, eventually: start .. end, where: {owner: python}, client: {ESTABLISHED: 1}}\n"
    rest += "  - {that: no such program, where: {owner: pyhton}, client: {ESTABLISHED: 0}}\n"
    found = document(simctl, written(tmp_path, rest))
    assert [verdict["outcome"] for verdict in found["verdicts"]] == ["pass", "unknown"]
    notes = " ".join(found["notes"])
    assert "lab.yaml:5:5: `ports` of server is passed over" in notes


def test_a_node_is_ready_when_its_check_passes(simctl: Simctl, tmp_path: Path) -> None:
    """The second time."""
    test = '["CMD-SHELL", "test -e /tmp/seen || { touch /tmp/seen; false; }"]'
    path = written(tmp_path, LOOK, test=test)
    assert simctl("run", path, "-r", "netns", "--allow-exec").returncode == 0
    refused = simctl("run", path, "-r", "netns")
    assert refused.returncode == 2
    assert "under netns a `healthcheck` is a command on this machine" in refused.stderr


def test_an_unhealthy_node_ends_the_run(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", written(tmp_path, LOOK, test='["CMD", "false"]', retries=2), "-r", "netns", "--allow-exec")
    assert done.returncode == 3
    told = "its healthcheck `false` does not pass: it ended with status 1, 2 times in a row"
    assert f"lab.yaml:3:3: node server is unhealthy: {told}" in done.stderr


def test_a_signal_is_told_by_its_name(simctl: Simctl, tmp_path: Path) -> None:
    rest = "steps: [{name: look, exec: {node: client, command: [sh, -c, 'kill -HUP $$']}}]\n"
    done = simctl("run", written(tmp_path, rest), "-r", "netns", "--allow-exec")
    assert "step look: sh in client was killed by SIGHUP" in done.stderr


def test_errors_that_no_expectation_names_are_told(simctl: Simctl, tmp_path: Path) -> None:
    rest = 'steps: [{name: load, request: {from: client, url: "http://server:9/"}}]\n'
    rest += "expect: [{that: it connects in time, client: {errors: {ConnectTimeout: 0}}}]\n"
    found = document(simctl, written(tmp_path, rest))
    assert found["outcome"] == "pass"
    assert "1 request of client failed with ConnectionRefusedError, which no expectation names" in found["notes"]
