"""Requests that a client's library repeated by itself are told as that, the same for every client; and a machine that
is busy with something else costs a run neither its trace nor a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.history.build import history_of
from orchestrator.recording.folder import RunFolder
from orchestrator.system.resources import ROOT
from tests.conftest import Simctl

CLIENTS = [
    "aiohttp-client",
    "apache-httpclient",
    "go-client",
    "httpx",
    "java-httpclient",
    "libcurl",
    "node-agent",
    "requests",
    "undici",
    "urllib3",
]
REPEATING = {"apache-httpclient", "go-client", "java-httpclient", "libcurl", "urllib3"}
"""Libraries that send a GET again which a kept connection did not answer; urllib3 by the kind's default RETRIES."""

RACE = """
name: race
topology: {compose}/client-server.yaml
set: {{FAULT: close-unannounced}}
matrix: {{CLIENT: {clients}}}
steps:
  - {{name: load, request: {{from: client, url: "http://server:8080/", session: pool, count: 50}}}}
  - {{name: settle, wait: 500ms}}
"""

MANY = """
name: many
topology: {compose}/client-server.yaml
steps:
  - {{name: load, request: {{from: client, url: "http://server:8080/", count: 500, concurrency: 50}}}}
  - {{name: settle, wait: 500ms}}
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=[pytest.mark.netns, pytest.mark.kinds(*CLIENTS)]),
        pytest.param("vm", marks=pytest.mark.vm),
    ],
)
def test_a_request_is_one_however_often_its_library_sends_it(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """The server closes after each answer without a word. Every attempt went on some connection."""
    (tmp_path / "race.yaml").write_text(RACE.format(compose=ROOT / "compose", clients=f"[{', '.join(CLIENTS)}]"))
    done = simctl("run", "race.yaml", "-r", runtime, "-q", "-o", "runs", cwd=tmp_path, timeout=220)
    assert done.returncode == 0, done.stderr + done.stdout
    repeating = set()
    for name in CLIENTS:
        report = reported(simctl, tmp_path, name)
        assert report["contradictions"] == []
        got = report["requests"]["client"]
        counted = {what: sum(got[what].values()) for what in ("answered", "errors", "repeated")}
        assert (got["count"], counted["answered"] + counted["errors"]) == (50, 50), (name, got)
        attempts = sum(one["requests"] for one in report["connections"])
        assert attempts == 50 + counted["repeated"], (name, got)
        repeating |= {name} if counted["repeated"] else set()
    assert repeating <= REPEATING
    assert repeating, "none of four libraries met a closed connection in 50 requests"


def reported(simctl: Simctl, folder: Path, client: str) -> dict[str, Any]:
    (run,) = (folder / "runs").glob(f"*-race-{client.replace('-', '_')}")
    report: dict[str, Any] = json.loads(simctl("report", run, "--format", "json").stdout)
    return report


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.timeout(240)
def test_a_busy_machine_costs_a_run_nothing(simctl: Simctl, as_root: None, tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text(MANY.format(compose=ROOT / "compose"))
    with hogs(2 * (os.cpu_count() or 1)):
        for _ in range(5):
            done = simctl("run", "many.yaml", "-r", "netns", "-q", "-o", "runs", cwd=tmp_path, timeout=60)
            assert done.returncode == 0, done.stderr + done.stdout
    for folder in sorted((tmp_path / "runs").iterdir()):
        found = history_of(RunFolder.open(folder))
        assert (found.exact, found.contradictions, len(found.connections)) == (True, (), 500), found.notes


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """That many processes which take all the time of a CPU that they are given."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
