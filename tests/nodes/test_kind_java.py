"""nodes/tomcat as a real process; all kinds in Java in labs, and what they have in common."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.kinds.registry import argv, kind
from orchestrator.system.resources import NODES
from tests.conftest import Simctl
from tests.support.node_process import PATIENCE, NodeProcess, Wire, client, node, server
from tests.support.reports import in_short

CLIENTS = ("java-httpclient", "apache-httpclient")
KINDS = ("tomcat", *CLIENTS)

pytestmark = [
    pytest.mark.java,
    pytest.mark.kinds(*KINDS),
    pytest.mark.timeout(180),  # the first start of a kind on a machine compiles it
]


def program(name: str) -> list[str]:
    return argv(kind(name), sys.executable)


@pytest.mark.parametrize("name", KINDS)
def test_the_knobs_in_node_yaml_are_those_that_it_reads_with_these_defaults(name: str) -> None:
    source = (NODES / name / "src" / "simctl" / "Main.java").read_text()
    read = dict(re.findall(r'knob\("([A-Z_]+)", "([^"]*)"\)', source))
    assert read == {knob: entry.default for knob, entry in kind(name).knobs.items()}


@pytest.mark.parametrize(
    ("name", "knobs", "named"),
    [
        ("java-httpclient", {"KEEPALIVE_EXPIRY": "1500ms"}, "KEEPALIVE_EXPIRY: this software takes whole seconds"),
        ("apache-httpclient", {"POOL_MAXSIZE": "0"}, "POOL_MAXSIZE: expected a whole number from 1"),
        ("tomcat", {"KEEPALIVE_TIMEOUT": "0.5ms"}, "KEEPALIVE_TIMEOUT: this software takes whole milliseconds"),
        ("tomcat", {"KEEPALIVE_TIMEOUT": "9h9h9h9999999h"}, "KEEPALIVE_TIMEOUT"),
    ],
)
def test_wrong_settings_are_named_in_one_line(name: str, knobs: dict[str, str], named: str) -> None:
    with node(program(name), **knobs) as process:
        assert process.process.wait(PATIENCE) == 2
        log = process.log()
        assert log.startswith(f"{name}: {named}")
        assert len(log.splitlines()) == 1


def test_arguments_are_refused() -> None:
    with node([*program("tomcat"), "--httpPort=1"]) as process:
        assert process.process.wait(PATIENCE) == 2
        assert "takes no arguments" in process.log()


# -- tomcat ----------------------------------------------------------------------------------------------------------


@contextmanager
def tomcat(**knobs: str) -> Iterator[tuple[NodeProcess, int]]:
    with server(program("tomcat"), **knobs) as running:
        yield running


def test_tomcat_tells_what_goes_over_the_wire() -> None:
    with tomcat(KEEPALIVE_TIMEOUT="30s") as (process, port), client() as them:
        url = f"http://127.0.0.1:{port}"
        *requests, _ = them.do(do="request", url=url + '/bytes/5?x="é', session="s", count=3)
        assert [event["nth"] for event in requests] == [1, 2, 3]
        for sent in requests:
            got, answer = process.next("served"), process.next("answered")
            assert (answer["nth"], answer["peer"], answer["status"]) == (sent["nth"], sent["local"], sent["status"])
            assert got["t"] <= answer["t"]
            assert (got["nth"], got["peer"], got["local"]) == (sent["nth"], sent["local"], sent["peer"])
            assert got["response_headers"] == sent["response_headers"]
            assert got["response_headers"]["Keep-Alive"] == "timeout=30"
            lower = {name.lower(): value for name, value in sent["request_headers"].items()}
            assert got["request_headers"] == lower  # Tomcat forgets how they were written
        them.do(do="close", session="s")
        closed = process.next("closed")
        assert (closed["reason"], closed["requests"], closed["peer"]) == ("peer", 3, requests[0]["local"])


def test_tomcat_paths_and_why_it_closes() -> None:
    with tomcat(KEEPALIVE_REQUESTS="7") as (process, port):
        with Wire(port) as wire:
            assert wire.get("/").body == b"simctl tomcat\n"
            assert wire.get("/bytes/100000").body == b"x" * 100_000
            assert wire.get("/bytes/5", method="HEAD").headers["content-length"] == "5"
            assert wire.get("/status/204").status == 204
            assert wire.get("/delay/1").status == 200
            assert wire.get("/nope").status == 404
            assert wire.get("/").headers["connection"] == "close"
            assert wire.read_end() == b""
            assert process.next("closed")["reason"] == "limit"
        with Wire(port) as wire:
            assert wire.get("/status/503").status == 503  # Tomcat drops the connection after it
            assert wire.read_end() == b""
            assert process.next("closed")["reason"] == "error"
        with Wire(port) as wire:
            wire.get("/", "Connection: close")
            assert wire.read_end() == b""
            assert process.next("closed")["reason"] == "request"
        with Wire(port) as wire:
            wire.send(b"nonsense\r\n\r\n")
            assert wire.response().status == 400
            assert process.next("closed")["reason"] == "error"
        with Wire(port) as wire:
            wire.send(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
            assert process.next("served")["status"] is None


def test_tomcat_half_closes_an_idle_connection_and_closes_it_soon_after() -> None:
    """Java closes a channel that is registered with a selector in two steps: the FIN now, the descriptor when the
    selector wakes up next, within a second."""
    with tomcat(KEEPALIVE_TIMEOUT="1s") as (process, port), Wire(port) as wire:
        wire.get("/")
        answered = process.next("served")["t"]
        assert wire.read_end() == b""
        closed = process.next("closed")
        assert closed["reason"] == "idle"
        assert closed["t"] - answered >= 0.99
        command = ["ss", "-Htanp", "state", "fin-wait-2", "sport", "=", f":{port}"]
        deadline = time.monotonic() + PATIENCE
        while "timer:" not in (left := subprocess.run([*command, "-o"], capture_output=True, text=True).stdout):
            assert time.monotonic() < deadline
        assert "pid=" not in left


def test_tomcat_closes_idle_connections_when_it_is_stopped_and_leaves_no_folder(tmp_path: Path) -> None:
    with tomcat(KEEPALIVE_TIMEOUT="1h", JAVA_TOOL_OPTIONS="-Djava.io.tmpdir=" + str(tmp_path)) as (process, port):
        with Wire(port) as wire:
            wire.get("/")
            assert list(tmp_path.iterdir())
            process.process.send_signal(signal.SIGTERM)
            assert wire.read_end() == b""
        assert process.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert [event["reason"] for event in process.rest() if event["ev"] == "closed"] == ["shutdown"]
        assert not list(tmp_path.iterdir())


def test_a_taken_port_is_one_line() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as taken,
        node(program("tomcat"), HTTP_PORT=str(taken.getsockname()[1])) as process,
    ):
        assert process.process.wait(PATIENCE) == 1
        assert process.log() == "tomcat: Address already in use\n"


# -- in labs ---------------------------------------------------------------------------------------------------------


_STORY = """
name: {name}
title: an idle connection is closed by the server
topology: {topology}
set: {{SERVER: {server}, CLIENT: {client}, KEEPALIVE_TIMEOUT: 1s}}
steps:
  - {{name: load, request: {{from: client, url: "http://server:8080/", session: pool, count: 3}}}}
  - {{name: idle, wait: 3500ms}}
  - {{name: reuse, request: {{from: client, url: "http://server:8080/", session: pool}}}}
expect:
  - {{that: one connection, over: load.start .. load.end,
      client: {{connections: 1, requests: 3, errors: 0, requests_per_connection: 3}}, server: {{served: 3}}}}
  - {{that: it is seen or not, at: idle.end, client: {client_state}, server: {server_state}}}
  - {{that: it was the idle timer, over: start .. end, server: {{first_fin: 1, closed_by: {{idle: 1}}}}}}
  - {{that: a new one, over: reuse.start .. reuse.end, client: {{connections: 1, requests: 1, errors: 0}}}}
"""
_UNSEEN = ("{CLOSE_WAIT: 1, others: 0}", "{FIN_WAIT2: 1, LISTEN: 1, others: 0}")
_SEEN = ("{others: 0}", "{TIME_WAIT: 1, LISTEN: 1, others: 0}")
_PAIRS = {
    ("tomcat", "requests"): _UNSEEN,
    ("origin", "apache-httpclient"): _UNSEEN,
    ("origin", "java-httpclient"): _SEEN,
}


def stories(folder: Path) -> list[Path]:
    files = []
    for (serving, asking), (client_state, server_state) in _PAIRS.items():
        file = folder / f"{serving}-{asking}.yaml"
        text = _STORY.format(
            name=file.stem, topology=NODES.parent / "compose" / "client-server.yaml", server=serving, client=asking,
            client_state=client_state, server_state=server_state,
        )  # fmt: skip
        file.write_text(text)
        files.append(file)
    return files


def assert_stories_hold(simctl: Simctl, folder: Path, runtime: str) -> None:
    done = simctl("run", *stories(folder), "-r", runtime, "--jobs", "3", "--format", "json", timeout=150)
    assert done.stdout, done.stderr
    for report in json.loads(done.stdout):
        assert report["outcome"] == "pass", in_short(report) + done.stderr
    assert done.returncode == 0


@pytest.mark.netns
def test_idle_connections_in_a_lab(simctl: Simctl, tmp_path: Path) -> None:
    assert_stories_hold(simctl, tmp_path, "netns")


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.images(*KINDS, "requests", "origin")
@pytest.mark.timeout(600)
def test_idle_connections_in_containers(simctl: Simctl, tmp_path: Path) -> None:
    assert_stories_hold(simctl, tmp_path, "docker")
