"""The clients in Python, and curl: what each does in its own way, with its pool, with errors and by its knobs."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kinds.registry import argv, kind
from orchestrator.system.resources import NODES
from tests.support.kindclient import answers, client
from tests.support.kindsources import knobs_read
from tests.support.misbehaving import OK, answer_once, answer_once_then_reset, misbehaving, read_request
from tests.support.node_process import ORIGIN, PATIENCE, node, server

KINDS = ("urllib3", "httpx", "aiohttp-client", "libcurl", "curl")


def answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(OK)


ASKS_AGAIN = ("urllib3", "libcurl", "curl")
"""Who makes a GET again by itself when its pooled connection died under it."""


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("dies", "error"), [(answer_once, "RemoteDisconnected"), (answer_once_then_reset, "ConnectionResetError")]
)
def test_a_pooled_connection_that_dies_under_the_request(name: str, dies: Any, error: str) -> None:
    with client(name) as them, misbehaving(dies, answer) as url:
        events = them.do(do="request", url=url, session="s", count=2)[:-1]
        first, second = events[:2]
        assert (first["error"], second["error"]["name"]) == (None, error)
        assert (second["n"], second["nth"], second["local"], second["status"]) == (2, 2, first["local"], None)
        assert second["t0"] <= second["t"]
        if name in ASKS_AGAIN:
            (third,) = events[2:]
            assert (third["n"], third["nth"], third["status"], third["error"]) == (2, 1, 200, None)
            assert third["local"] != first["local"]
            assert second["t"] <= third["t0"] <= third["t"]
        else:
            assert len(events) == 2
            answers(them.do(do="request", url=url, session="s"))


def test_requests_asks_again_when_it_has_retries() -> None:
    with client("requests", RETRIES="1") as them, misbehaving(answer_once, answer) as url:
        first, died, again, _ = them.do(do="request", url=url, session="s", count=2)
        assert [event["n"] for event in (first, died, again)] == [1, 2, 2]
        assert (died["error"]["name"], again["error"], again["status"]) == ("RemoteDisconnected", None, 200)


def test_requests_keeps_as_many_connections_as_its_pool_is_large() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), client("requests", POOL_MAXSIZE="1") as them:
        url = f"http://127.0.0.1:{port}/delay/100"
        events = answers(them.do(do="request", url=url, session="s", count=2, concurrency=2))
        assert [event["nth"] for event in events] == [1, 1]
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"]) == ("peer", 1)


def test_requests_waits_where_its_pool_blocks() -> None:
    knobs = {"POOL_MAXSIZE": "1", "POOL_BLOCK": "true"}
    with server(ORIGIN) as (_, port), client("requests", **knobs) as them:
        url = f"http://127.0.0.1:{port}/delay/50"
        events = answers(them.do(do="request", url=url, session="s", count=3, concurrency=3))
        assert [event["nth"] for event in sorted(events, key=lambda event: float(event["t"]))] == [1, 2, 3]


@pytest.mark.parametrize("name", ["httpx", "aiohttp-client", "libcurl"])
def test_what_is_older_than_the_expiry_is_not_used_again(name: str) -> None:
    """httpx and libcurl close it when they are used next, aiohttp by a timer of its own."""
    expiry = 1.0 if name == "libcurl" else 0.3
    with (
        server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port),
        client(name, KEEPALIVE_EXPIRY=f"{expiry * 1000:.0f}ms") as them,
    ):
        url = f"http://127.0.0.1:{port}/"
        # libcurl counts whole seconds and wants more than that many.
        pause = 2 * expiry + 0.1 if name == "libcurl" else 2 * expiry
        before, after = answers(them.do(do="request", url=url, session="s", count=2, interval=pause))
        assert (before["nth"], after["nth"]) == (1, 1)
        closed = origin.next("closed")
        assert (closed["peer"], closed["reason"]) == (before["local"], "peer")
        if name == "aiohttp-client":
            assert closed["t"] < after["t0"]
        else:
            assert closed["t"] >= after["t0"]


def test_aiohttp_can_close_after_each_request() -> None:
    with server(ORIGIN) as (_, port), client("aiohttp-client", FORCE_CLOSE="true") as them:
        events = answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s", count=2))
        assert [event["nth"] for event in events] == [1, 1]


def test_a_session_of_curl_keeps_nothing_between_commands() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), client("curl") as them:
        url = f"http://127.0.0.1:{port}/"
        first = answers(them.do(do="request", url=url, session="s", count=2))
        closed = origin.next("closed")
        assert (closed["peer"], closed["reason"], closed["requests"]) == (first[0]["local"], "peer", 2)
        (second,) = answers(them.do(do="request", url=url, session="s"))
        assert second["nth"] == 1


def test_curl_says_which_pauses_it_cannot_make() -> None:
    with server(ORIGIN) as (_, port), client("curl") as them:
        (done,) = them.do(do="request", url=f"http://127.0.0.1:{port}/", count=2, interval=0.7)
        assert "--rate" in done["error"]


def test_httpx_never_repeats_what_it_sent_but_connects_again() -> None:
    with client("httpx", RETRIES="3") as them, misbehaving(answer_once) as url:
        events = them.do(do="request", url=url, session="s", count=2)[:-1]
        assert [event["error"] and event["error"]["name"] for event in events] == [None, "RemoteDisconnected"]


# -- knobs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requests", *KINDS])
def test_the_knobs_in_node_yaml_are_those_that_the_program_reads(name: str) -> None:
    assert knobs_read(name) == set(kind(name).knobs)


@pytest.mark.parametrize("name", ["requests", *KINDS])
def test_the_defaults_in_node_yaml_are_values_that_the_program_takes(name: str) -> None:
    knobs = {knob: entry.default for knob, entry in kind(name).knobs.items()}
    if name == "aiohttp-client":
        del knobs["FORCE_CLOSE"]  # even false has a say: with it there is no expiry
    with client(name, **knobs):
        pass


DEFAULTS = {
    "urllib3": "from urllib3 import HTTPConnectionPool as P, PoolManager as M, Retry;"
    "print(d(M, 'num_pools'), d(P, 'maxsize'), d(P, 'block'), Retry.DEFAULT.total, False)",
    "httpx": "from httpx._config import DEFAULT_LIMITS as L; from httpx import HTTPTransport as T;"
    "print(L.keepalive_expiry, L.max_keepalive_connections, L.max_connections, d(T, 'retries'))",
    "aiohttp-client": "import asyncio, aiohttp\nasync def f():\n c = aiohttp.TCPConnector()\n"
    " print(c._keepalive_timeout, c.limit, c.limit_per_host, c.force_close)\nasyncio.run(f())",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_defaults_in_node_yaml_are_the_own_of_the_library(name: str) -> None:
    with client(name):
        pass  # or there is no library to ask
    begin = "from inspect import signature\ndef d(what, name): return signature(what).parameters[name].default\n"
    command = ["/usr/bin/python3", "-c", begin + DEFAULTS[name]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    own = [knob.default for knob in kind(name).knobs.values()][: len(said)]  # behind them stand the kernel's
    assert [word.lower().removesuffix(".0") for word in said] == [value.removesuffix("s") for value in own]


@pytest.mark.parametrize(
    ("name", "knob", "value"),
    [
        ("requests", "POOL_MAXSIZE", "0"),
        ("requests", "POOL_BLOCK", "maybe"),
        ("urllib3", "RETRIES", "-1"),
        ("httpx", "KEEPALIVE_EXPIRY", "5"),
        ("aiohttp-client", "MAX_CONNECTIONS", "many"),
        ("libcurl", "KEEPALIVE_EXPIRY", "500ms"),
        ("curl", "TCP_KEEPALIVE", "5s"),
    ],
)
def test_a_wrong_knob_is_one_line(name: str, knob: str, value: str) -> None:
    with node(argv(kind(name), sys.executable), **{knob: value}) as process:
        assert process.process.wait(PATIENCE) == 2
        assert re.fullmatch(rf"{name}: {knob}: [^\n]+\n", process.log())


def keepalive_timer(local: str) -> bool:
    shown = subprocess.run(["ss", "-Htno", "src", local], capture_output=True, text=True, check=True).stdout
    assert local in shown
    return "timer:(keepalive" in shown


@pytest.mark.parametrize(
    ("name", "knob", "expected"),
    [
        ("requests", "true", True),
        ("urllib3", "true", True),
        ("libcurl", "true", True),
        ("libcurl", "", False),
        ("curl", "", True),
        ("curl", "false", False),
    ],
)
def test_tcp_keepalive_is_as_the_knob_says(name: str, knob: str, expected: bool) -> None:
    with server(ORIGIN) as (_, port), client(name, TCP_KEEPALIVE=knob) as them:
        url = f"http://127.0.0.1:{port}/"
        # Between the two every client's connection is idle, that of curl too.
        them.send({"id": 1, "do": "request", "url": url, "session": "s", "count": 2, "interval": 0.5})
        assert keepalive_timer(them.next("request")["local"]) is expected


# -- curl's clock ----------------------------------------------------------------------------------------------------


def curl_program() -> Any:
    spec = importlib.util.spec_from_file_location("simctl_curl", NODES / "curl" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CURL = curl_program()


@given(
    begin=st.integers(0, 10**12),
    offset=st.integers(0, 86400),
    late=st.floats(0.0001, 0.9),
    later=st.lists(st.integers(0, 86_399_000_000), max_size=5),
)
def test_the_time_that_curl_says_is_that_of_the_monotonic_clock(
    begin: int, offset: int, late: float, later: list[int]
) -> None:
    """In microseconds, as curl says it; `offset` is what it adds, in whole seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CURL.time, "monotonic", lambda: begin / 1e6 + late)
        clock = CURL.Clock()
        for moment in (begin, *(begin + after for after in later)):
            said = (moment / 1e6 + offset) % 86400
            assert clock.monotonic(said) == pytest.approx(moment / 1e6, abs=1e-3)


@pytest.mark.parametrize(
    ("interval", "rate"), [(0.001, "1000/s"), (0.1, "10/s"), (1.0, "1/s"), (2.0, "30/m"), (90.0, "40/h"), (0.25, "4/s")]
)
def test_the_rate_of_an_interval(interval: float, rate: str) -> None:
    assert CURL.rate(interval) == rate
