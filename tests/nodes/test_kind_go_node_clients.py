"""The clients on Go's net/http, Node's http.Agent and undici: real processes against the reference server, and against
servers that misbehave. What they have in common, and what each does in its own way."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.kinds.registry import kind
from tests.conftest import Simctl
from tests.support.kindclient import answers, client
from tests.support.misbehaving import (
    OK,
    answer_once,
    answer_once_then_reset,
    end_of_file,
    garbage,
    misbehaving,
    read_request,
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


# -- what each does in its own way -----------------------------------------------------------------------------------


def answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(OK)
    silent(connection)


DEATHS = [(answer_once, "RemoteDisconnected"), (answer_once_then_reset, "ConnectionResetError")]


@pytest.mark.parametrize("name", KINDS)
def test_a_pooled_connection_that_dies_under_the_request(name: str) -> None:
    """Go makes a GET again, which is an exchange of its own; nobody does that with a POST."""
    with client(name) as them:
        for (dies, error), method in itertools.product(DEATHS, ("GET", "POST")):
            with misbehaving(dies, answer) as url:
                (first,) = answers(them.do(do="request", url=url, session="s", method=method))
                died, *again, _ = them.do(do="request", url=url, session="s", method=method)
                assert (died["error"]["name"], died["status"]) == (error, None)
                assert (died["n"], died["nth"], died["local"]) == (1, 2, first["local"])
                if (name, method) == ("go-client", "GET"):
                    (second,) = again
                    assert (second["n"], second["nth"], second["status"], second["error"]) == (1, 1, 200, None)
                    assert second["local"] != first["local"]
                    assert died["t0"] <= died["t"] <= second["t0"] <= second["t"]
                else:
                    assert not again
                    answers(them.do(do="request", url=url, session="s"))
                them.do(do="close", session="s")


def test_undici_obeys_the_servers_keep_alive_header_less_one_second() -> None:
    with (
        server(ORIGIN, KEEPALIVE_TIMEOUT="2s", ADVERTISE="true") as (origin, port),
        client("undici", KEEPALIVE_EXPIRY="1h") as them,
    ):
        (event,) = answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s"))
        assert event["response_headers"]["Keep-Alive"] == "timeout=2"
        closed = origin.next("closed")
        assert closed["reason"] == "peer"
        assert closed["t"] - event["t"] >= 0.99


def test_undici_opens_a_second_connection_for_a_request_that_follows_at_once() -> None:
    with server(ORIGIN) as (_, port), client("undici") as them:
        events = answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s", count=4))
        assert [event["nth"] for event in events] == [1, 1, 2, 2]


def test_go_follows_redirects_and_the_others_do_not() -> None:
    def redirect(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")

    def redirect_and_answer(connection: socket.socket) -> None:
        redirect(connection)
        read_request(connection)
        connection.sendall(OK)

    with client("go-client") as them, misbehaving(redirect_and_answer) as url:
        first, second = answers(them.do(do="request", url=url, session="s"))
        assert [(event["n"], event["status"], event["nth"]) for event in (first, second)] == [(1, 302, 1), (1, 200, 2)]
        assert second["url"] == url + "there"
        assert first["response_headers"]["Location"] == "/there"
        assert first["t"] <= second["t0"]
    for name in ("node-agent", "undici"):
        with client(name) as them, misbehaving(redirect) as url:
            (event,) = answers(them.do(do="request", url=url, session="s"))
            assert event["status"] == 302


# -- in a lab ---------------------------------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.kinds(*KINDS)
def test_who_closes_an_idle_connection(simctl: Simctl, tmp_path: Path) -> None:
    """What the server closed is closed by all of them at once; undici's own timer may be first."""
    done = simctl("run", _story(tmp_path), "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout


def _story(folder: Path) -> Path:
    """Each client asks the server once and idles; so does undici with a timer that is quicker than the server's."""
    (folder / "compose.yaml").write_text(
        "services:\n  server: {image: simctl/origin, environment: {KEEPALIVE_TIMEOUT: 1s}}\n"
        + "".join(f"  {name}: {{image: simctl/{name}}}\n" for name in KINDS)
        + "  quick: {image: simctl/undici, environment: {KEEPALIVE_EXPIRY: 300ms}}\n"
    )
    clients = (*KINDS, "quick")
    asks = (f'  - request: {{from: {name}, url: "http://server:8080/", session: s}}\n' for name in clients)
    closed = "".join(f"    {name}: {{ESTABLISHED: 0, others: 0}}\n" for name in KINDS)
    again = (f'  - request: {{from: {name}, url: "http://server:8080/", session: s}}\n' for name in clients)
    none = "".join(f"    {name}: {{errors: 0, requests: 2, connections: 2}}\n" for name in clients)
    story = folder / "idle.yaml"
    story.write_text(
        f"name: idle\ntopology: compose.yaml\nsteps:\n{''.join(asks)}  - {{name: idle, wait: 2s}}\n{''.join(again)}"
        "expect:\n  - that: what the server closed is closed\n    at: idle.end\n"
        f"{closed}    server: {{TIME_WAIT: {len(KINDS)}, others: 0}}\n    quick: {{TIME_WAIT: 1, others: 0}}\n"
        f"  - that: so nobody asks on a dead connection\n    over: start .. end\n{none}"
    )
    return story


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "at"),
    [
        pytest.param(*pair, marks=pytest.mark.images(*pair))
        for pair in (("go-client", "go"), ("node-agent", "node"), ("undici", "node"))
    ],
)
def test_in_containers(simctl: Simctl, tmp_path: Path, name: str, at: str) -> None:
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  client: {{image: simctl/{name}}}\n"
        f"  server: {{image: simctl/{at}, environment: {{KEEPALIVE_TIMEOUT: 5s}}}}\n"
    )
    story = tmp_path / "story.yaml"
    story.write_text(
        "name: story\ntopology: compose.yaml\nsteps:\n"
        '  - request: {from: client, url: "http://server:8080/bytes/1000", session: s, count: 3, interval: 100ms}\n'
        "expect:\n  - {that: one connection, over: start .. end, client: {errors: 0, requests: 3, connections: 1}}\n"
    )
    done = simctl("run", story, "-r", "docker", "-q", timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
