"""Envoy between a client and a server: who closes which connection, when, and what its access log says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system.resources import COMPOSE as BUNDLED
from tests.conftest import Simctl
from tests.support.kindserver import assert_refuses
from tests.support.reports import in_short

needed = pytest.mark.kinds("envoy", "origin", "requests")

LINE = re.compile(r'\[.*\] "GET / HTTP/1\.1" (\d+) (\S+) (\S+) attempts=(\d+) .*client=(\S+) from=(\S+) to=(\S+)')

SHORT_AND_TWO_SERVERS = """
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/", session: pool, count: 5}}
  - {name: idle, wait: 3s}
  - {name: gone, stop: server}
  - {name: refused, request: {from: client, url: "http://proxy:8080/", session: other}}
expect:
  - that: the last of three requests on a client's connection ends it
    over: load.start .. load.end
    client: {connections: 2, statuses: {200: 5}}
  - that: an upstream connection has two requests, and Envoy closes it
    over: load.start .. load.end
    server: {connections: 3, served: 5, first_fin: 0}
  - that: the client's idle connection drains, and is closed
    at: idle.end
    client: {CLOSE_WAIT: 1, ESTABLISHED: 0}
  - that: nobody listens behind it any more
    over: refused.start .. refused.end
    client: {statuses: {503: 1}}
"""

COMPOSE = """
services:
  client: {image: simctl/requests, networks: [lab]}
  proxy:
    image: simctl/envoy
    environment:
      UPSTREAM: server:8080
      KEEPALIVE_TIMEOUT: 1s
      GRACEFUL_TIMEOUT: 500ms
      KEEPALIVE_REQUESTS: 3
      UPSTREAM_KEEPALIVE_REQUESTS: 2
      CHECK: ${CHECK:-false}
      CHECK_INTERVAL: 300ms
      CHECK_FALL: 1
      CHECK_RISE: 1
    networks: [lab]
  server: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""

CHECKED = """
name: checked
topology: compose.yaml
set: {CHECK: "true"}
steps:
  - {name: kept, request: {from: client, url: "http://proxy:8080/"}}
  - {name: gone, stop: server}
  - {name: noticed, wait: 2s}
  - {name: none, request: {from: client, url: "http://proxy:8080/"}}
  - {name: back, start: server}
  - {name: seen, wait: 2s}
  - {name: again, request: {from: client, url: "http://proxy:8080/"}}
expect:
  - {that: no server is healthy, over: none.start .. none.end, client: {statuses: {503: 1}}}
  - {that: it is seen to be back, over: again.start .. again.end, client: {statuses: {200: 1}}}
"""

TOO_OLD = """
topology: client-proxy-server.yaml
set: {PROXY: envoy, MODE: MODE_HERE, PROXY_MAX_LIFETIME: 1s, PROXY_GRACEFUL_TIMEOUT: "GRACE_HERE"}
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/", session: pool, count: 5, interval: 100ms}}
  - {name: idle, wait: 3s}
expect:
  - that: it lives for a second, and is closed by Envoy, in use or not
    at: load.end
    client: {ESTABLISHED: 1}
  - that: it is closed then
    at: idle.end
    client: {CLOSE_WAIT: 1, ESTABLISHED: 0, connections: 1}
"""


def report_of(simctl: Simctl, scenario: Path | str, folder: Path, runtime: str) -> tuple[dict[str, Any], list[Path]]:
    """What the run reports, and its folders, by name."""
    done = simctl("run", scenario, "-r", runtime, "-o", folder / "runs", "--format", "json", timeout=280)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), sorted((folder / "runs").iterdir())


def requests_logged(run: Path) -> list[tuple[str, ...]]:
    """Of the access log: status, flags, details, attempts, the client's address, the two of the upstream connection."""
    found = [LINE.search(line) for line in (run / "logs" / "proxy.log").read_text().splitlines()]
    return [match.groups() for match in found if match]


def assert_the_503_and_its_cures(simctl: Simctl, folder: Path, runtime: str) -> None:
    document, runs = report_of(simctl, "envoy-503", folder, runtime)
    assert [cell["outcome"] for cell in document["cells"]] == ["pass"] * 4, document
    logged = {run.name.partition("envoy-503-")[2]: requests_logged(run) for run in runs}
    assert {name: len(lines) for name, lines in logged.items()} == {"1h-0": 6, "1h-1": 6, "1s-0": 6, "1s-1": 6}
    flags = {name: (lines[-1][0], lines[-1][1], lines[-1][3]) for name, lines in logged.items()}
    assert flags == {
        "1h-0": ("503", "UC", "1"), "1h-1": ("200", "-", "2"), "1s-0": ("200", "-", "1"), "1s-1": ("200", "-", "1"),
    }  # fmt: skip
    (run,) = (run for run in runs if run.name.endswith("1h-0"))
    status, _, details, _, client, *_ = logged["1h-0"][-1]
    assert details == "upstream_reset_before_response_started{connection_termination}"
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    failed = [event for event in events if event["ev"] == "request" and event["status"] == int(status)]
    assert [event["local"] for event in failed] == [client], "the line names the connection of the failed request"


@needed
@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_503_when_the_servers_timer_is_shorter_than_the_pools(simctl: Simctl, tmp_path: Path) -> None:
    assert_the_503_and_its_cures(simctl, tmp_path, "netns")


@needed
@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_a_virtual_machine(simctl: Simctl, tmp_path: Path) -> None:
    assert_the_503_and_its_cures(simctl, tmp_path, "vm")


@pytest.mark.docker
@pytest.mark.images("envoy", "origin", "requests")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_containers(simctl: Simctl, tmp_path: Path) -> None:
    assert_the_503_and_its_cures(simctl, tmp_path, "docker")


@needed
@pytest.mark.netns
@pytest.mark.slow
def test_limits_of_requests_and_the_clients_idle_timer(simctl: Simctl, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "limits.yaml").write_text(f"name: limits\n{SHORT_AND_TWO_SERVERS}")
    report, (run,) = report_of(simctl, tmp_path / "limits.yaml", tmp_path, "netns")
    assert report["outcome"] == "pass", in_short(report)
    assert [line[:2] for line in requests_logged(run)] == [*[("200", "-")] * 5, ("503", "UF")]


@needed
@pytest.mark.netns
@pytest.mark.slow
def test_no_server_is_healthy(simctl: Simctl, tmp_path: Path) -> None:
    """Not as with one that refuses (UF): it does not even try. The story says so in the words of its log."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "checked.yaml").write_text(CHECKED)
    report, (run,) = report_of(simctl, tmp_path / "checked.yaml", tmp_path, "netns")
    assert report["outcome"] == "pass", in_short(report)
    assert [line[:2] for line in requests_logged(run)] == [("200", "-"), ("503", "UH"), ("200", "-")]
    assert any("no server is healthy" in line for line in report["story"]), report["story"]


@needed
@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "grace"), [("http", "1s"), ("tcp", "")])
def test_a_connection_that_is_too_old(simctl: Simctl, tmp_path: Path, mode: str, grace: str) -> None:
    text = TOO_OLD.replace("MODE_HERE", mode).replace("GRACE_HERE", grace)
    text = text.replace("topology: ", f"topology: {BUNDLED}/")
    (tmp_path / "old.yaml").write_text(f"name: old\n{text}")
    report, _ = report_of(simctl, tmp_path / "old.yaml", tmp_path, "netns")
    assert report["outcome"] == "pass", in_short(report)


@pytest.mark.kinds("envoy")
@pytest.mark.processes
@pytest.mark.parametrize(
    ("knob", "value", "words"),
    [
        ("UPSTREAM", "", "expected the servers behind it"),
        ("MODE", "udp", "expected http or tcp"),
        ("RETRY_ON", "always", "expected reset or"),
        ("KEEPALIVE_TIMEOUT", "0.5ms", "whole milliseconds"),
    ],
)
def test_a_wrong_knob_is_one_line(tmp_path: Path, knob: str, value: str, words: str) -> None:
    assert_refuses("envoy", knob, value, words, tmp_path, UPSTREAM="server:8080")
