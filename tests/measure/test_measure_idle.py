"""`simctl measure idle` by the real command, against servers on loopback: our own with its close modes, scripted ones,
and what people really run."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import EnvironmentFailure, InputError, SimctlError
from orchestrator.measure.findings import Limit, Reaction, Truth, Way
from orchestrator.measure.measure import Plan
from orchestrator.measure.target import Address, NodeName, parse_target
from orchestrator.measure.words import advice
from orchestrator.system.linux import descendants
from tests.conftest import Simctl
from tests.support.measured import OK, measured, read_request, scripted
from tests.support.node_process import ORIGIN, PATIENCE, server
from tests.support.refusals import assert_refused

# -- the reference server --------------------------------------------------------------------------------------------


def test_an_idle_timer_is_found_from_both_sides() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="400ms") as (_, port):
        told = measured(port)
    for silence, number in ((told.idle, 2), (told.before, 1)):
        assert (len(silence.closed), silence.open, silence.ways) == (number, 0, {Way.FIN: number})
        assert 0.4 - told.accuracy <= silence.closed[0] <= silence.closed[-1] < PATIENCE
    assert told.reactions == {Reaction.RST: 2}
    assert told.limit == Limit(answered=5, asked=5, closed=False, announced=False, time_was_up=False)
    assert (told.farewell.says_close, told.farewell.way) == (True, Way.FIN)
    assert told.advertised is None
    assert told.problems == ()


def test_no_more_traffic_than_help_says() -> None:
    plan = Plan(samples=2, requests=5)
    with server(ORIGIN, KEEPALIVE_TIMEOUT="300ms") as (origin, port):
        told = measured(port, samples=plan.samples, requests=plan.requests)
        origin.process.kill()
        events = origin.rest()
    served = [event for event in events if event["ev"] == "served"]
    # What comes behind a FIN meets a RST: the server never reads it.
    assert len(served) + plan.samples == told.requests == plan.most_requests
    assert sum(event["ev"] == "closed" for event in events) == told.connections == plan.connections
    assert {(event["method"], event["path"]) for event in served} == {("GET", "/")}
    assert {event["request_headers"]["Host"] for event in served} == {f"127.0.0.1:{port}"}
    assert [event["request_headers"]["Connection"] for event in served].count("close") == 1


def test_the_numbers_in_help_are_those_of_the_plan(simctl: Simctl) -> None:
    text = " ".join(simctl("measure", "idle", "--help", env={"COLUMNS": "200"}).stdout.split())
    assert f"({Plan().connections} connections and {Plan().most_requests} requests without options)" in text


@pytest.mark.parametrize(
    ("how", "way", "met"),
    [("half-close", Way.FIN, {Reaction.NOTHING: 2}), ("reset", Way.RST, {})],
)
def test_ways_of_closing_are_told_apart(how: str, way: Way, met: dict[Reaction, int]) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="200ms", CLOSE_HOW=how) as (_, port):
        told = measured(port)
    assert (told.idle.ways, told.reactions, told.farewell.way) == ({way: 2}, met, way)


@pytest.mark.parametrize(
    ("knobs", "answered", "announced", "words"),
    [
        ({"KEEPALIVE_REQUESTS": "3"}, 3, True, "expire below"),
        ({"KEEPALIVE_REQUESTS": "1"}, 1, True, "keeps no connections and says so"),
        ({"FAULT": "close-unannounced", "FAULT_AFTER": "2"}, 3, False, "closes after 3 requests without saying so"),
        ({"FAULT": "close-unannounced"}, 1, False, "closes after every response without saying so"),
    ],
)
def test_the_limit_is_found_announced_or_not(knobs: dict[str, str], answered: int, announced: bool, words: str) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="200ms", **knobs) as (_, port):
        told = measured(port)
    assert told.limit == Limit(answered, 5, closed=True, announced=announced, time_was_up=False)
    assert words in advice(told)


def test_what_the_server_says_of_itself_is_put_to_the_test() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1s", ADVERTISE="true") as (_, port):
        told = measured(port).advertised
    assert told is not None
    assert (told.text, told.timeout_truth) == ("timeout=1", Truth.TRUE)

    def liar(connection: socket.socket, _: int) -> None:
        connection.settimeout(0.3)
        while read_request(connection):
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=9, max=2\r\n\r\n"))

    with scripted(liar) as port:
        findings = measured(port)
    assert findings.advertised is not None
    assert (findings.advertised.timeout_truth, findings.advertised.max_truth) == (Truth.LESS, Truth.MORE)
    assert advice(findings).startswith("Keep-Alive says 9 s, truth is 0.3")


def test_what_is_not_closed_in_time_is_told_so() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (_, port):
        told = measured(port, timeout=1.0)
    assert (told.idle.open, told.idle.closed, told.before.open) == (2, (), 1)


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_table_and_the_progress(simctl: Simctl) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="300ms") as (_, port):
        done = simctl("measure", "idle", f"http://127.0.0.1:{port}/bytes/9", "--requests", "5")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"http://127.0.0.1:{port}/bytes/9 (HTTP/1.1 200), measured from this machine"
    assert any(line.startswith("  requests per connection ") and line.endswith("none seen in 5") for line in lines)
    assert lines[-1].startswith("a client pool should let idle connections expire below 0.2")
    assert "6 connections, 12 requests" in done.stderr.splitlines()[0]
    assert "4 connections are silent now, for 120 s at most" in done.stderr
    assert done.stderr.count("closed by FIN") == 4


@pytest.mark.parametrize(
    ("timer", "configured", "code", "truth"),
    [("1s", "1s", 0, "true"), ("300ms", "9s", 1, "less"), ("1h", "1h", 4, "unknown")],
)
def test_a_flag_that_is_not_the_truth_fails(simctl: Simctl, timer: str, configured: str, code: int, truth: str) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT=timer) as (_, port):
        options = ("--requests", "2", "--timeout", "2s", "--json", "-q")
        done = simctl("measure", "idle", f"127.0.0.1:{port}", "--configured", configured, *options)
    assert (done.returncode, done.stderr) == (code, "")
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["configured"] > 0, told["configured_truth"]) == (True, truth)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", InputError, "it speaks TLS"),
        (b"SSH-2.0-x\r\n\r\n", InputError, "it does not speak HTTP/1.1: its answer begins with 'SSH-2.0-x'"),
        (b"HTTP/1.1 2\x1b[31m\r\n\r\n", InputError, r"it does not speak HTTP/1.1"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            EnvironmentFailure,
            "its response is broken: illegal chunk header",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, EnvironmentFailure, "a head without an end"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: zz\r\n\r\n",
            EnvironmentFailure,
            "its response is broken: bad Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", EnvironmentFailure, "no HTTP response: end of file"),
        (b"", EnvironmentFailure, "a request got no HTTP response: end of file"),
    ],
    ids=["tls", "ssh", "escape", "chunk", "endless head", "length", "cut short", "nothing"],
)
def test_what_is_no_http_server_is_refused(answer: bytes, kind: type[SimctlError], words: str) -> None:
    def one(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with scripted(one) as port, pytest.raises(kind, match=words) as caught:
        measured(port)
    assert "\x1b" not in str(caught.value)


def test_a_server_that_never_answers_ends_with_the_timeout() -> None:
    def one(connection: socket.socket, _: int) -> None:
        while read_request(connection):
            continue

    with scripted(one) as port, pytest.raises(EnvironmentFailure, match="no response in time"):
        measured(port, timeout=0.3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://example.test/", "HTTPS is not measured"),
        ("ftp://example.test/", "no URL that can be measured"),
        ("http://", "no URL that can be measured"),
        ("http://user:word@example.test/", "no URL that can be measured"),
        ("http://example.test:x/", "is no URL"),
        ("http://example.test:0/", "a port is a number from 1 to 65535"),
        ("example.test:70000", "a port is a number from 1 to 65535"),
        ("example.test:80/a b", "ASCII, without spaces"),
        ("bücher.test:80", "ASCII, without spaces"),
        ("http://example.test/\r\nX: y", "ASCII, without spaces"),
        ("a/b/c", "is no target"),
        ("", "is no target"),
    ],
)
def test_targets_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "target", "url"),
    [
        ("127.0.0.1:81", Address("127.0.0.1", 81), "http://127.0.0.1:81/"),
        ("example.test:80/a?b=c", Address("example.test", 80, "/a?b=c"), "http://example.test/a?b=c"),
        ("[::1]:8080", Address("::1", 8080), "http://[::1]:8080/"),
        ("http://Example.test", Address("example.test", 80), "http://example.test/"),
        ("HTTP://[::1]:81/x#y", Address("::1", 81, "/x"), "http://[::1]:81/x"),
        ("http://example.test?q", Address("example.test", 80, "/?q"), "http://example.test/?q"),
    ],
)
def test_targets_by_address(text: str, target: Address, url: str) -> None:
    assert parse_target(text) == target
    assert str(target) == url


@pytest.mark.parametrize(("text", "target"), [("web-1", NodeName(None, "web-1")), ("a/web", NodeName("a", "web"))])
def test_targets_by_name(text: str, target: NodeName) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["https://example.test/"], 2, "HTTPS is not measured"),
        (["127.0.0.1:80", "--timeout", "0s"], 2, "--timeout"),
        (["no-such-lab/server"], 2, "no lab named 'no-such-lab' is up"),
        (["127.0.0.1:1"], 3, "cannot connect to 127.0.0.1 port 1: Connection refused"),
    ],
)
def test_refusals_are_one_line(simctl: Simctl, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = simctl("measure", "idle", *arguments, "-q", env={"SIMCTL_STATE": str(tmp_path / "s")})
    assert_refused(done, code)
    assert words in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_stays_when_it_is_ended(how: int) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (_, port):
        argv = [sys.executable, "-m", "orchestrator", "measure", "idle", f"127.0.0.1:{port}", "--requests", "2"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while "silent now" not in process.stderr.readline():
                assert process.poll() is None
            left = descendants(process.pid)
            assert left
            process.send_signal(how)
            process.wait(PATIENCE)
            if how == signal.SIGINT:
                assert process.returncode == 130
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in left):
            assert time.monotonic() < deadline
            time.sleep(0.02)
