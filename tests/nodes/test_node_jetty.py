"""nodes/jetty: a real Jetty, which is to look like the reference server where it can and like Jetty where it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.system.resources import NODES
from tests.support.node_process import JETTY, PATIENCE, NodeProcess, Wire, client, node, server

pytestmark = pytest.mark.java


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the module: only the first start compiles."""
    return tmp_path_factory.mktemp("cache")


@contextmanager
def jetty(cache: Path, *arguments: str, **knobs: str) -> Iterator[tuple[NodeProcess, int]]:
    with server([*JETTY, *arguments], XDG_CACHE_HOME=str(cache), **knobs) as started:
        yield started


def test_it_is_compiled_once_and_all_or_nothing(cache: Path) -> None:
    with jetty(cache) as (first, _), jetty(cache) as (second, port), Wire(port) as wire:
        assert wire.get("/").status == 200
        assert first.process.pid != second.process.pid
    (made,) = (cache / "simctl" / "jetty").iterdir()
    assert {path.name for path in made.iterdir()} == {"simctl.jar", "classes.jsa"}


SHARED_OR_NOTHING = """
import subprocess, sys, run
from pathlib import Path
folder = Path(sys.argv[1])
command = run.java.java(run.PROGRAM, folder, ["-Xshare:on", f"-XX:SharedArchiveFile={folder / run.java.ARCHIVE}"])
sys.exit(subprocess.run([*command[:-1], "-version"]).returncode)
"""


def test_its_archive_of_classes_holds_when_what_was_made_is_packed(cache: Path) -> None:
    """Who packs a root file system sets all files of today back to when it began, and the JVM looks at the jars'."""
    with jetty(cache):
        (made,) = (cache / "simctl" / "jetty").iterdir()
    began = time.time() - 3600
    for path in made.iterdir():
        then = min(path.stat().st_mtime, began)
        os.utime(path, (then, then))
    done = subprocess.run(
        [sys.executable, "-Bc", SHARED_OR_NOTHING, made],
        cwd=NODES / "jetty",
        env=os.environ | {"PYTHONPATH": str(NODES / "base")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_connection_is_kept_and_everything_is_told(cache: Path) -> None:
    with jetty(cache) as (process, port), client() as them:
        url = f"http://127.0.0.1:{port}"
        *requests, _ = them.do(do="request", url=url + '/bytes/5?x="é', session="s", count=3)
        assert [event["nth"] for event in requests] == [1, 2, 3]
        told = [(process.next("served"), process.next("answered")) for _ in requests]
        for sent, (got, answer) in zip(requests, told, strict=True):
            assert (answer["nth"], answer["peer"], answer["status"]) == (sent["nth"], sent["local"], sent["status"])
            assert got["t"] <= answer["t"]
            assert (got["nth"], got["peer"], got["local"]) == (sent["nth"], sent["local"], sent["peer"])
            assert got["request_headers"] == sent["request_headers"]
            assert got["response_headers"] == sent["response_headers"]
            assert got["response_headers"]["Server"].startswith("Jetty(9.4.")
            assert sent["t0"] < got["t"] < sent["t"]  # one clock for Java and Python
        them.do(do="close", session="s")
        closed = process.next("closed")
        assert (closed["reason"], closed["requests"], closed["peer"]) == ("peer", 3, requests[0]["local"])


@pytest.mark.parametrize(
    ("version", "header", "last"),
    [
        ("1.1", "Connection: close", True),
        ("1.1", "Connection: Keep-Alive", False),
        ("1.0", "Accept: */*", True),
        ("1.0", "Connection: keep-alive", False),
    ],
)
def test_who_wants_to_close_is_obeyed(cache: Path, version: str, header: str, last: bool) -> None:
    with jetty(cache) as (process, port), Wire(port) as wire:
        response = wire.get("/", header, version=version)
        told = process.next("served")["response_headers"].get("Connection")
        assert response.headers.get("connection") == told
        if last:
            assert told == "close"
            assert wire.read_end() == b""
            assert process.next("closed")["reason"] == "request"
        else:
            assert wire.get("/", header, version=version).status == 200


def test_the_limit_closes_after_the_last_request(cache: Path) -> None:
    with jetty(cache, KEEPALIVE_REQUESTS="2") as (process, port), Wire(port) as wire:
        assert "connection" not in wire.get("/").headers
        assert wire.get("/").headers["connection"] == "close"
        assert wire.read_end() == b""
        assert process.next("closed")["reason"] == "limit"


def test_paths(cache: Path) -> None:
    with jetty(cache) as (process, port), Wire(port) as wire:
        assert wire.get("/").body == b"simctl jetty\n"
        assert wire.get("/bytes/100000").body == b"x" * 100_000
        assert wire.get("/bytes/5", method="HEAD").headers["content-length"] == "5"
        assert wire.get("/status/204").status == 204
        assert wire.get("/status/503").status == 503
        assert wire.get("/delay/1").status == 200
        assert wire.get("/bytes/x").status == 404
        assert [process.next("served")["status"] for _ in range(7)] == [200, 200, 200, 204, 503, 200, 404]
        wire.send(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        assert process.next("served")["status"] is None


def test_a_bad_request_is_an_error(cache: Path) -> None:
    with jetty(cache) as (process, port), Wire(port) as wire:
        wire.send(b"nonsense\r\n\r\n")
        assert wire.response().status == 400
        closed = process.next("closed")
        assert (closed["reason"], closed["requests"]) == ("error", 0)


def sockets(port: int, state: str) -> list[str]:
    command = ["ss", "-Htanp", "state", state, "sport", "=", f":{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("arguments", [[], ["--httpKeepAliveTimeout=2000"]])
def test_an_idle_connection_is_half_closed_first_and_closed_after_a_second_period(
    cache: Path, arguments: list[str]
) -> None:
    """What Jetty 9.4 does, and Winstone's own connector did not: see Wire.java."""
    knob = {} if arguments else {"KEEPALIVE_TIMEOUT": "2s"}
    with jetty(cache, *arguments, **knob) as (process, port), Wire(port) as wire:
        wire.get("/")
        answered = process.next("served")["t"]
        assert wire.read_end() == b""
        closed = process.next("closed")
        assert closed["reason"] == "idle"
        assert closed["t"] - answered >= 1.99
        while not (left := sockets(port, "fin-wait-2")):
            pass  # the client's acknowledgement may be delayed
        assert f"pid={process.process.pid}," in left[0]
        while "pid=" in left[0]:
            left = sockets(port, "fin-wait-2")
        assert process.process.poll() is None


def test_a_leak_keeps_the_socket_in_close_wait(cache: Path) -> None:
    with jetty(cache, LEAK="true", KEEPALIVE_TIMEOUT="300ms") as (process, port):
        with Wire(port) as wire:
            wire.get("/")
        with Wire(port) as idle:
            idle.get("/")
            assert process.next("closed")["reason"] == "idle"  # only the client's close is not answered
        (left,) = sockets(port, "close-wait")
        assert f"pid={process.process.pid}," in left


def test_sigterm_closes_idle_connections(cache: Path) -> None:
    with jetty(cache, KEEPALIVE_TIMEOUT="1h") as (process, port), Wire(port) as wire:
        wire.get("/")
        process.process.send_signal(signal.SIGTERM)
        assert wire.read_end() == b""
        assert process.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert [event["reason"] for event in process.rest() if event["ev"] == "closed"] == ["shutdown"]


@pytest.mark.parametrize(
    ("arguments", "knobs", "named"),
    [
        (["--nope=1"], {}, "--httpPort"),
        (["--httpPort"], {}, "--httpPort"),
        ([], {"HTTP_PORT": "70000"}, "port"),
        ([], {"KEEPALIVE_TIMEOUT": "5"}, "KEEPALIVE_TIMEOUT"),
        ([], {"KEEPALIVE_TIMEOUT": "0"}, "KEEPALIVE_REQUESTS=1"),
        ([], {"LEAK": "perhaps"}, "LEAK"),
    ],
)
def test_wrong_settings_are_named_in_one_line(
    cache: Path, arguments: list[str], knobs: dict[str, str], named: str
) -> None:
    with node([*JETTY, *arguments], XDG_CACHE_HOME=str(cache), **knobs) as process:
        assert process.process.wait(PATIENCE) == 2
        log = process.log()
        assert named in log
        assert len(log.splitlines()) == 1


def test_a_taken_port_is_one_line(cache: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        knobs = {"HTTP_PORT": str(taken.getsockname()[1]), "XDG_CACHE_HOME": str(cache)}
        with node(JETTY, **knobs) as process:
            assert process.process.wait(PATIENCE) == 1
            assert "Address already in use" in process.log()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with node(JETTY, XDG_CACHE_HOME=str(tmp_path / "file")) as process:
        assert process.process.wait(PATIENCE) == 1
        log = process.log()
        assert "XDG_CACHE_HOME" in log
        assert len(log.splitlines()) == 1
