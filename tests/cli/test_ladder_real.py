"""Ladders of real runs: a server at work behind a proxy, and servers that report nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simctl

pytestmark = pytest.mark.netns

TOPOLOGY = """\
services:
  client: {{image: simctl/requests, depends_on: [proxy], networks: [front]}}
  proxy:
    image: simctl/nginx
    depends_on: [server]
    environment: {{UPSTREAM: "server:8080", UPSTREAM_TIMEOUT: 500ms, UPSTREAM_KEEPALIVE: 16}}
    networks: [front, back]
  server: {{image: simctl/{server}, networks: [back]}}
networks:
  front: {{internal: true}}
  back: {{internal: true}}
"""


def upstream(simctl: Simctl, folder: Path, server: str, request: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ladder of the connection between proxy and server, and its entry in the list."""
    (folder / "lab.compose.yaml").write_text(TOPOLOGY.format(server=server))
    (folder / "test.yaml").write_text(
        f"name: test\ntopology: lab.compose.yaml\nsteps:\n  - name: ask\n    request: {request}\n  - wait: 1500ms\n"
    )
    done = simctl("run", folder / "test.yaml", "--runtime", "netns", "--quiet", "--output", folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (folder / "runs").glob("2*")
    shown = json.loads(simctl("show", run, "--conn", "c2", "--format", "json").stdout)
    return shown, next(entry for entry in shown["connections"] if entry["id"] == "c2")


def test_what_a_server_began_is_not_what_it_answered(simctl: Simctl, tmp_path: Path) -> None:
    request = '{from: client, url: "http://proxy:8080/delay/1500", timeout: 20s}'
    shown, _ = upstream(simctl, tmp_path, "origin", request)
    assert "without an answer" in shown["headline"]
    told = [(row["kind"], row["text"]) for row in shown["rows"] if row["kind"] in ("request", "response", "silence")]
    assert told[0] == ("request", "GET /delay/1500")
    assert ("response", "200") not in told
    assert ("response", "200, too late") in told
    assert "no answer yet" in told[1][1]
    assert not [text for _, text in told if text.endswith("idle")]


def test_traffic_that_nobody_reports_is_neither_idleness_nor_no_requests(simctl: Simctl, tmp_path: Path) -> None:
    request = '{from: client, url: "http://proxy:8080/", session: pool, count: 8, interval: 150ms}'
    shown, listed = upstream(simctl, tmp_path, "nginx", request)
    assert listed["requests"] is None
    (data,) = [row for row in shown["rows"] if row["kind"] == "traffic"]
    assert data["t"][1] - data["t"][0] > 0.9
    assert [row for row in shown["rows"] if row["kind"] == "silence" and row["t"][1] <= data["t"][1]] == []
