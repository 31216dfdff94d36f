"""The clients on Go's net/http, Node's http.Agent and undici: real processes against the reference server, and against
servers that misbehave. What they have in common."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from orchestrator.kinds.registry import kind
from tests.support.kindclient import answers, client
from tests.support.misbehaving import (
    end_of_file,
    garbage,
    misbehaving,
    reset,
    short_body,
    silent,
    silent_in_the_body,
)
from tests.support.node_process import ORIGIN, server

KINDS = ("go-client", "node-agent", "undici")
COOKIES = ("go-client",)
"""Who can read SO_COOKIE."""
ONE_CONNECTION = {"undici": {"POOL_MAXSIZE": "1"}}
"""undici 5 opens a second connection for a request that follows at once: the first one counts as busy for a moment."""


@pytest.mark.parametrize("name", KINDS)
def test_a_client_does_what_it_is_told_and_tells_what_happened(name: str) -> None:
    before = time.monotonic()
    with server(ORIGIN, ADVERTISE="true") as (origin, port), client(name, **ONE_CONNECTION.get(name, {})) as them:
        url = f"http://127.0.0.1:{port}"
        events = answers(them.do(do="request", url=url + "/bytes/9", session="pool", count=3))
        assert [(event["n"], event["nth"], event["reused"]) for event in events] == [
            (1, 1, False),
            (2, 2, True),
            (3, 3, True),
        ]
        assert {(event["status"], event["bytes"], event["method"], event["session"]) for event in events} == {
            (200, 9, "GET", "pool")
        }
        for ours, theirs in zip(events, [origin.next("served") for _ in events], strict=True):
            assert before < ours["t0"] <= theirs["t"] <= ours["t"]
            assert (ours["local"], ours["peer"]) == (theirs["peer"], theirs["local"])
            assert ours["request_headers"] == theirs["request_headers"]
            assert ours["response_headers"] == theirs["response_headers"]
        assert {event["sk"] is not None for event in events} == {name in COOKIES}

        body = "@/etc/passwd\n--next grüße"
        (event,) = answers(them.do(do="request", url=url + "/echo", session="pool", method="POST", body=body))
        theirs = origin.next("served")
        assert (theirs["method"], event["bytes"]) == ("POST", len(body.encode()))
        assert event["request_headers"] == theirs["request_headers"]

        headers = {"X-One": "a, b", "Host": "elsewhere"}
        (event,) = answers(them.do(do="request", url=url + "/chunked/2000", method="GET", headers=headers))
        theirs = origin.next("served")
        assert event["request_headers"] == theirs["request_headers"]
        sent = {key.lower(): value for key, value in theirs["request_headers"].items()}
        assert (sent["x-one"], sent["host"]) == ("a, b", "elsewhere")
        assert event["response_headers"] == theirs["response_headers"]
        assert event["response_headers"]["Transfer-Encoding"] == "chunked"
        assert (event["session"], event["nth"], event["bytes"]) == (None, 1, 2000)

        (event,) = answers(them.do(do="request", url=url + "/bytes/100", method="HEAD"))
        assert (event["status"], event["bytes"], event["response_headers"]["Content-Length"]) == (200, 0, "100")

        for body in ("abc", ""):  # a GET with a body is framed
            (event,) = answers(them.do(do="request", url=url + "/echo", session="pool", body=body))
            assert event["bytes"] == len(body)
        assert "error" not in them.do(do="close", session="pool")[-1]
        assert them.end() == 0


@pytest.mark.parametrize("name", KINDS)
def test_a_session_keeps_its_connection_and_a_request_without_one_does_not(name: str) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), client(name, POOL_MAXSIZE="3") as them:
        url = f"http://127.0.0.1:{port}/"
        kept = [answers(them.do(do="request", url=url, session="pool"))[0] for _ in range(3)]
        assert [event["nth"] for event in kept] == [1, 2, 3]
        short = answers(them.do(do="request", url=url, count=3))
        assert [event["nth"] for event in short] == [1, 1, 1]
        assert {
            event["request_headers"].get("Connection", event["request_headers"].get("connection")) for event in short
        } == {"close"}
        assert {event["response_headers"]["Connection"] for event in short} == {"close"}
        assert {origin.next("closed")["peer"] for _ in short} == {event["local"] for event in short}
        them.do(do="close", session="pool")
        closed = origin.next("closed")
        assert (closed["peer"], closed["reason"], closed["requests"]) == (kept[0]["local"], "peer", 3)

        first, second = answers(them.do(do="request", url=url, session="slow", count=2, interval=0.2))
        assert second["t0"] - first["t"] >= 0.19
        assert second["nth"] == 2

        events = answers(them.do(do="request", url=url + "delay/30", session="s", count=8, concurrency=3))
        assert sorted(event["n"] for event in events) == list(range(1, 9))
        by_connection: dict[str, list[int]] = {}
        for event in sorted(events, key=lambda event: float(event["t"])):
            by_connection.setdefault(event["local"], []).append(event["nth"])
        assert 2 <= len(by_connection) <= 3
        assert all(counted == list(range(1, len(counted) + 1)) for counted in by_connection.values())


@pytest.mark.parametrize("name", KINDS)
def test_a_pool_that_blocks_and_closes_what_is_idle_for_longer_than_the_expiry(name: str) -> None:
    """That of undici always blocks."""
    knobs = {"POOL_MAXSIZE": "1", "KEEPALIVE_EXPIRY": "300ms"}
    knobs |= {"POOL_BLOCK": "true"} if "POOL_BLOCK" in kind(name).knobs else {}
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), client(name, **knobs) as them:
        url = f"http://127.0.0.1:{port}/"
        events = answers(them.do(do="request", url=url + "delay/30", session="s", count=3, concurrency=3))
        events.sort(key=lambda event: float(event["t"]))
        assert [event["nth"] for event in events] == [1, 2, 3]
        closed = origin.next("closed")
        assert (closed["peer"], closed["reason"]) == (events[-1]["local"], "peer")
        assert closed["t"] - events[-1]["t"] >= 0.29
        (event,) = answers(them.do(do="request", url=url, session="s"))
        assert event["nth"] == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"do": "ask", "url": "http://x/"}, "unknown command 'ask'"),
    ({"do": "close", "session": "none"}, "no such session is open; open are: none"),
    ({"do": "request", "url": "http://x/", "cuont": 1}, "unknown field 'cuont'"),
    ({"do": "request", "url": "https://127.0.0.1/"}, "url"),
    ({"do": "request", "url": "http://"}, "url"),
    ({"do": "request", "url": "http://x:99999/"}, "url"),
    ({"do": "request", "url": "http://x/ y"}, "url"),
    ({"do": "request", "url": "http://x/", "method": "GET /other"}, "method"),
    ({"do": "request", "url": "http://x/", "headers": {"A": "b\r\nc"}}, "headers"),
    ({"do": "request", "url": "http://x/", "headers": {"@a": "b"}}, "headers"),
    ({"do": "request", "url": "http://x/", "headers": {"A": 1}}, "headers"),
    ({"do": "request", "url": "http://x/", "count": 0}, "count"),
    ({"do": "request", "url": "http://x/", "concurrency": True}, "concurrency"),
    ({"do": "request", "url": "http://x/", "interval": -1}, "interval"),
    ({"do": "request", "url": "http://x/", "timeout": 0}, "timeout"),
    ({"do": "request", "url": "http://x/", "body": {}}, "body"),
]


@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_command_sends_nothing_and_the_next_one_runs(name: str) -> None:
    nowhere = "http://127.0.0.1:1"
    with server(ORIGIN) as (_, port), client(name, http_proxy=nowhere, HTTP_PROXY=nowhere) as them:
        for command, named in WRONG:
            (done,) = them.do(**command)
            assert named in done["error"], done
            assert done["id"] == 1
        for line in (b"{\n", b"[1]\n"):
            them.write(line)
            done = them.next("request", "done")
            assert (done["ev"], done["id"]) == ("done", None)
            assert done["error"]
        answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session=None, timeout=1e12))


def test_what_undici_refuses_by_itself_is_a_wrong_command() -> None:
    with client("undici") as them:
        (done,) = them.do(do="request", url="http://127.0.0.1:1/", headers={"Expect": "100-continue"})
        assert done["error"].startswith("undici refuses it: ")


ERRORS = [
    (end_of_file, "RemoteDisconnected", None),
    (reset, "ConnectionResetError", None),
    (short_body, "IncompleteRead", 200),
    (silent, "ReadTimeout", None),
    (silent_in_the_body, "ReadTimeout", 200),
    (garbage, "BadStatusLine", None),
]


@pytest.mark.parametrize("name", KINDS)
def test_one_name_for_the_same_error(name: str) -> None:
    with client(name) as them:
        for behave, expected, status in ERRORS:
            with misbehaving(behave) as url:
                timeout = 0.3 if expected == "ReadTimeout" else 10.0
                (event, _) = them.do(do="request", url=url, session="s", timeout=timeout)
                assert event["error"]["name"] == expected, (behave, event)
                assert event["error"]["text"]
                assert (event["status"], event["nth"], event["peer"]) == (status, 1, url.split("/")[2]), event

        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            (event, _) = them.do(do="request", url=f"http://127.0.0.1:{bound.getsockname()[1]}/")
            assert event["error"]["name"] == "ConnectionRefusedError", event
            assert (event["local"], event["nth"], event["reused"], event["sk"]) == (None, None, False, None)
        (event, _) = them.do(do="request", url="http://no-such-node.invalid/", timeout=5.0)
        assert event["error"]["name"] == "NameResolutionError", event
        (event, _) = them.do(do="request", url="http://255.255.255.255/")
        assert event["error"]["name"] in ("ENETUNREACH", "EACCES", "PermissionError"), event

        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as second:
            address = full.getsockname()  # a listener whose accept queue is full drops the SYN
            with socket.create_connection(address):
                second.setblocking(False)
                second.connect_ex(address)
                (event, _) = them.do(do="request", url=f"http://127.0.0.1:{address[1]}/", timeout=0.3)
                assert event["error"]["name"] == "ConnectTimeout", event
                assert (event["nth"], event["status"]) == (None, None)
