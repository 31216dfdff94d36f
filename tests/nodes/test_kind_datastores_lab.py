"""Data stores and their pooled clients in a lab: who closes, and what a dead connection costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.kinds.registry import kind
from orchestrator.system.resources import ROOT
from tests.conftest import Simctl
from tests.support.reports import in_short

KINDS = ("postgres", "redis", "psycopg", "redis-py", "webapp")
STORIES = ("database-idle", "cache-idle")
DATASTORE = ROOT / "compose" / "client-datastore.yaml"
APP = ROOT / "compose" / "client-nginx-app-postgres.yaml"

installed = pytest.mark.kinds(*KINDS)


def run_json(simctl: Simctl, *args: str | Path, timeout: float = 90) -> Any:
    """What the run reports: one report, or a list when there were several scenarios."""
    done = simctl("run", *args, "--format", "json", timeout=timeout)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def scenario(folder: Path, topology: Path, steps: str, expect: str = "[]", **variables: str) -> Path:
    path = folder / "scenario.yaml"
    text = {"name": "made-here", "topology": str(topology), "set": variables}
    path.write_text(f"{yaml.safe_dump(text)}steps: {steps}\nexpect: {expect}\n")
    return path


@installed
@pytest.mark.netns
def test_stories(simctl: Simctl) -> None:
    memory = Path("/proc/sysvipc/shm").read_text()
    reports = run_json(simctl, *STORIES, "-r", "netns", "--jobs", "2")
    for report in reports:
        assert report["outcome"] == "pass", in_short(report)
    assert Path("/proc/sysvipc/shm").read_text() == memory, "the lock of a server outlives its node"


POOL = """
  - {name: alone, request: {from: client, url: "postgresql://server:5432/", count: 2}}
  - {name: load, request: {from: client, url: "postgresql://server:5432/", session: pool, count: 8}}
  - {name: settle, wait: 500ms}
  - {name: idle, wait: 2s}
  - {name: reuse, request: {from: client, url: "postgresql://server:5432/", session: pool, count: 4}}
  - {name: filled, wait: 500ms}
  - {name: shutdown, stop: server}
  - {name: gone, request: {from: client, url: "postgresql://server:5432/"}}
"""
POOL_FACTS = """
  - {that: each query alone has a connection of its own, over: alone.start .. alone.end,
     client: {connections: 2, requests: 2, errors: 0}}
  - {that: the pool has opened both, at: settle.end, client: {ESTABLISHED: 2}}
  - {that: both were ended, at: idle.end, client: {CLOSE_WAIT: 2, recv_q: {CLOSE_WAIT: 2..}}, server: {FIN_WAIT2: 2}}
  - {that: each of them fails one query, over: reuse.start .. reuse.end,
     client: {requests: 4, errors: {OperationalError: 2}}}
  - {that: both are replaced, at: filled.end, client: {ESTABLISHED: 2, CLOSE_WAIT: 0}}
  - {that: a server that is stopped closes what the pool holds, at: shutdown.end,
     client: {CLOSE_WAIT: 2, ESTABLISHED: 0}, server: {LISTEN: 0, ESTABLISHED: 0}}
  - {that: nobody listens any more, over: gone.start .. gone.end, client: {requests: 1, errors: 1}}
"""


@installed
@pytest.mark.netns
def test_every_dead_connection_of_a_pool_fails_one_query(simctl: Simctl, tmp_path: Path) -> None:
    path = scenario(tmp_path, DATASTORE, POOL, POOL_FACTS, KEEPALIVE_TIMEOUT="1500ms", POOL_MIN_SIZE="2")
    report = run_json(simctl, path, "-r", "netns", "-o", tmp_path / "runs")
    assert report["outcome"] == "pass", in_short(report)
    (run,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    requests = [event for event in events if event["ev"] == "request"]
    answered = [event for event in requests if event["error"] is None]
    assert {(event["method"], event["status"], event["answer"]) for event in answered} == {("QUERY", None, "SELECT 1")}
    dead = [event["error"]["text"] for event in requests if event["step"] == "reuse" and event["error"]]
    assert all("terminating connection due to idle-session timeout" in text for text in dead)
    assert f"{len(answered)} answered SELECT 1" in simctl("report", run).stdout
    assert "QUERY ─" in simctl("show", run).stdout


@installed
@pytest.mark.netns
def test_what_the_server_refuses_is_said_in_its_own_words(simctl: Simctl, tmp_path: Path) -> None:
    path = scenario(tmp_path, DATASTORE, "[{wait: 1s}]", MAX_CONNECTIONS="2")
    done = simctl("run", path, "-r", "netns")
    assert done.returncode not in (0, 1)
    assert "node server died at start" in done.stderr
    assert "must be less than max_connections (2)" in done.stderr


@installed
@pytest.mark.netns
def test_the_defaults_in_node_yaml_are_values_that_the_programs_take(simctl: Simctl, tmp_path: Path) -> None:
    services = {
        name: {
            "image": f"simctl/{name}",
            "environment": {knob: each.default for knob, each in kind(name).knobs.items()},
        }
        for name in KINDS
    }
    topology = tmp_path / "compose.yaml"
    topology.write_text(yaml.safe_dump({"services": services}))
    report = run_json(simctl, scenario(tmp_path, topology, "[{wait: 10ms}]"), "-r", "netns")
    assert report["outcome"] == "pass"


@installed
@pytest.mark.netns
def test_the_port_can_be_moved(simctl: Simctl, tmp_path: Path) -> None:
    topology = tmp_path / "compose.yaml"
    ports = {"postgres": 5444, "redis": 6444}
    services = {name: {"image": f"simctl/{name}", "environment": {"PORT": port}} for name, port in ports.items()}
    topology.write_text(yaml.safe_dump({"services": services}))
    expect = [
        {"that": "it listens there", "at": "end", "where": {"port": port}, name: {"LISTEN": 1}}
        for name, port in ports.items()
    ]
    report = run_json(simctl, scenario(tmp_path, topology, "[{wait: 10ms}]", json.dumps(expect)), "-r", "netns")
    assert report["outcome"] == "pass", in_short(report)


BEHIND_NGINX = """
  - {name: warm, request: {from: client, url: "http://nginx:8080/db", session: pool}}
  - {name: load, request: {from: client, url: "http://nginx:8080/", session: pool, count: 3}}
  - {name: idle, wait: 3s}
  - {name: reuse, request: {from: client, url: "http://nginx:8080/db", session: pool}}
  - {name: again, request: {from: client, url: "http://nginx:8080/db", session: pool}}
"""
BEHIND_NGINX_FACTS = """
  - {that: the database closes on the application, at: idle.end, app: {CLOSE_WAIT: 1}, db: {FIN_WAIT2: 1, first_fin: 1}}
  - {that: no client sees more than a status, client: {requests: 6, errors: 0}}
"""


def assert_application_story(simctl: Simctl, folder: Path, runtime: str) -> None:
    """A dead connection of the application's pool becomes a 500 at the client, once."""
    path = scenario(folder, APP, BEHIND_NGINX, BEHIND_NGINX_FACTS, DB_KEEPALIVE_TIMEOUT="1s", POOL_MIN_SIZE="1")
    report = run_json(simctl, path, "-r", runtime, "-o", folder / "runs")
    assert report["outcome"] == "pass", in_short(report)
    (run,) = (folder / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    statuses = [event["status"] for event in events if event["ev"] == "request"]
    assert statuses == [200, 200, 200, 200, 500, 200]


@installed
@pytest.mark.netns
@pytest.mark.slow
def test_a_dead_connection_behind_an_application(simctl: Simctl, tmp_path: Path) -> None:
    assert_application_story(simctl, tmp_path, "netns")


@pytest.mark.docker
@pytest.mark.images(*KINDS, "gunicorn", "nginx", "origin", "requests")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stories_in_containers(simctl: Simctl) -> None:
    for report in run_json(simctl, *STORIES, "-r", "docker", "--jobs", "2", timeout=280):
        assert (report["outcome"], report["runtime"]) == ("pass", "docker"), in_short(report)


@pytest.mark.docker
@pytest.mark.images(*KINDS, "gunicorn", "nginx", "origin", "requests")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_dead_connection_behind_an_application_in_containers(simctl: Simctl, tmp_path: Path) -> None:
    assert_application_story(simctl, tmp_path, "docker")
