"""nodes/requests as a real process, against the reference server and against servers that misbehave."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from orchestrator.system.resources import NODES
from tests.support.misbehaving import (
    OK,
    answer_once,
    end_of_file,
    garbage,
    misbehaving,
    read_request,
    reset,
    short_body,
    silent,
    silent_in_the_body,
)
from tests.support.node_process import CLIENT, ORIGIN, NodeProcess, client, node, server

sys.path.append(str(NODES / "base"))
from recorder import cause_name


@contextmanager
def pair(**knobs: str) -> Iterator[tuple[NodeProcess, NodeProcess, str]]:
    """A client, the reference server, and its URL."""
    with server(ORIGIN, **knobs) as (origin, port), client() as them:
        yield them, origin, f"http://127.0.0.1:{port}"


def answers(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests of a command that was right and went well."""
    assert "error" not in events[-1], events[-1]
    assert all(event["error"] is None for event in events[:-1])
    return events[:-1]


def test_a_session_keeps_its_connection_between_commands() -> None:
    with pair() as (them, origin, url):
        first = answers(them.do(do="request", url=url + "/", session="pool", count=3))
        second = answers(them.do(do="request", url=url + "/bytes/9", session="pool"))
        assert [event["nth"] for event in first + second] == [1, 2, 3, 4]
        assert [event["reused"] for event in first + second] == [False, True, True, True]
        assert [event["n"] for event in first] == [1, 2, 3]
        assert len({(event["local"], event["sk"]) for event in first + second}) == 1
        (last,) = second
        assert (last["status"], last["bytes"], last["session"], last["method"]) == (200, 9, "pool", "GET")
        assert last["t0"] <= last["t"]
        served = [origin.next("served") for _ in range(4)]
        assert {event["peer"] for event in served} == {last["local"]}
        assert served[-1]["request_headers"] == last["request_headers"]
        assert served[-1]["response_headers"] == last["response_headers"]
        assert them.do(do="close", session="pool")[-1].get("error") is None
        assert origin.next("closed")["reason"] == "peer"


def test_one_shot_requests_close_their_connection_at_once() -> None:
    with pair(KEEPALIVE_TIMEOUT="1h") as (them, origin, url):
        events = answers(them.do(do="request", url=url + "/", count=5))
        assert [(event["nth"], event["reused"], event["session"]) for event in events] == [(1, False, None)] * 5
        assert len({event["local"] for event in events}) == 5
        closed = [origin.next("closed") for _ in range(5)]  # not one of them waits for the garbage collector
        assert {event["reason"] for event in closed} == {"peer"}


def test_both_ends_record_how_they_know_that_the_connection_is_short() -> None:
    with pair(KEEPALIVE_REQUESTS="1") as (them, _, url):
        events = answers(them.do(do="request", url=url + "/", session="s", count=3))
        assert [event["nth"] for event in events] == [1, 1, 1]
        for event in events:
            assert event["request_headers"]["Connection"] == "keep-alive"
            assert event["response_headers"]["Connection"] == "close"


def until_fin_arrived(local: str) -> None:
    """The event comes before the FIN, and a request in between would meet the race of production."""
    command = ["ss", "-Htan", "state", "close-wait", "src", local]
    while not subprocess.run(command, capture_output=True, check=True).stdout:
        pass


def test_a_dead_pooled_connection_is_replaced() -> None:
    with pair(KEEPALIVE_TIMEOUT="200ms") as (them, origin, url):
        (before,) = answers(them.do(do="request", url=url + "/", session="pool"))
        assert origin.next("closed")["reason"] == "idle"
        until_fin_arrived(before["local"])
        (after,) = answers(them.do(do="request", url=url + "/", session="pool"))
        assert (after["nth"], after["reused"]) == (1, False)
        assert after["local"] != before["local"]


def test_method_headers_and_body_go_out_as_told() -> None:
    with pair() as (them, origin, url):
        command = {"method": "POST", "headers": {"X-One": "1", "Connection": "close"}, "body": "grüße"}
        (event,) = answers(them.do(do="request", url=url + "/echo", session="s", **command))
        assert event["bytes"] == len("grüße".encode())
        assert event["request_headers"]["X-One"] == "1"
        assert event["request_headers"]["Content-Length"] == "7"
        served = origin.next("served")
        assert (served["method"], served["request_headers"]) == ("POST", event["request_headers"])
        assert origin.next("closed")["reason"] == "request"


def test_workers_share_the_count_and_the_session() -> None:
    with pair() as (them, _, url):
        command = {"url": url + "/delay/20", "session": "s", "count": 20, "concurrency": 4}
        events = answers(them.do(do="request", **command))
        assert sorted(event["n"] for event in events) == list(range(1, 21))
        assert 2 <= len({event["local"] for event in events}) <= 4
        by_connection: dict[str, list[int]] = {}
        for event in sorted(events, key=lambda event: float(event["t"])):
            by_connection.setdefault(event["sk"], []).append(event["nth"])
        assert all(counted == list(range(1, len(counted) + 1)) for counted in by_connection.values())


def test_the_interval_lies_between_the_requests_of_a_worker() -> None:
    with pair() as (them, _, url):
        events = answers(them.do(do="request", url=url + "/", session="s", count=3, interval=0.2))
        pauses = [after["t0"] - before["t"] for before, after in itertools.pairwise(events)]
        assert all(pause >= 0.2 for pause in pauses)


def test_commands_run_beside_each_other_and_each_says_done() -> None:
    """The first is not answered before the second was; they share the session that the first opened."""
    with pair() as (them, _, url):
        for number, path in ((7, "/delay/1000"), (8, "/")):
            them.send({"id": number, "do": "request", "url": url + path, "session": "s"})
        said = [them.next("request", "done") for _ in range(4)]
        assert [(event["ev"], event["id"], event.get("session")) for event in said] == [
            ("request", 8, "s"),
            ("done", 8, None),
            ("request", 7, "s"),
            ("done", 7, None),
        ]
        assert them.end() == 0


def test_what_is_under_way_is_finished_when_the_input_ends() -> None:
    with pair() as (them, _, url):
        them.send({"id": 7, "do": "request", "url": url + "/delay/300"})
        assert them.end() == 0
        assert [event["ev"] for event in them.rest()] == ["request", "done"]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ({"do": "fly"}, "fly"),
        ({"do": ["request"]}, "request"),
        ({"do": "request"}, "url"),
        ({"do": "request", "url": "https://127.0.0.1/"}, "http://"),
        ({"do": "request", "url": "http://"}, "InvalidURL"),
        ({"do": "request", "url": 5}, "url"),
        ({"do": "request", "url": "http://x/", "count": 0}, "count"),
        ({"do": "request", "url": "http://x/", "count": True}, "count"),
        ({"do": "request", "url": "http://x/", "interval": -1}, "interval"),
        ({"do": "request", "url": "http://x/", "timeout": 0}, "timeout"),
        ({"do": "request", "url": "http://x/", "headers": {"A": "b\r\nc"}}, "InvalidHeader"),
        ({"do": "request", "url": "http://x/", "headers": []}, "headers"),
        ({"do": "request", "url": "http://x/", "body": {}}, "body"),
        ({"do": "request", "url": "http://x/", "colour": 1}, "colour"),
        ({"do": "close"}, "session"),
        ({"do": "close", "session": "never"}, "never"),
    ],
)
def test_a_wrong_command_is_done_with_an_error(command: dict[str, Any], named: str) -> None:
    with client() as them:
        (done,) = them.do(**command)
        assert (done["ev"], done["id"]) == ("done", 1)
        assert named in done["error"]


@pytest.mark.parametrize("line", [b"\n", b"{\n", b"[]\n", b"\xff\n", b"5\n"])
def test_what_is_no_command_is_refused_and_the_next_one_runs(line: bytes) -> None:
    with pair() as (them, _, url):
        them.write(line)
        assert them.next("done")["error"]
        answers(them.do(do="request", url=url + "/"))


def test_the_environment_has_no_say() -> None:
    nowhere = "http://127.0.0.1:1"
    with server(ORIGIN) as (_, port), node(CLIENT, http_proxy=nowhere, HTTP_PROXY=nowhere, ALL_PROXY=nowhere) as them:
        answers(them.do(do="request", url=f"http://127.0.0.1:{port}/"))
        answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s"))


@pytest.mark.parametrize(
    ("behave", "name", "status"),
    [
        (end_of_file, "RemoteDisconnected", None),
        (reset, "ConnectionResetError", None),
        (short_body, "IncompleteRead", 200),
        (silent, "ReadTimeout", None),
        (silent_in_the_body, "ReadTimeout", 200),
        (garbage, "BadStatusLine", None),
    ],
)
@pytest.mark.parametrize("session", [None, "s"])
def test_the_error_names_the_side_of_the_race(
    behave: Callable[[socket.socket], None], name: str, status: int | None, session: str | None
) -> None:
    with client() as them, misbehaving(behave) as url:
        (event, done) = them.do(do="request", url=url, session=session, timeout=0.5 if name == "ReadTimeout" else 10.0)
        assert "error" not in done
        assert event["error"]["name"] == name, event
        assert event["error"]["text"]
        assert (event["status"], event["nth"], event["peer"]) == (status, 1, url.split("/")[2])
        assert event["request_headers"]["Connection"] == "keep-alive"


def test_a_pooled_connection_that_dies_under_the_request() -> None:
    with client() as them, misbehaving(answer_once) as url:
        first, second, _ = them.do(do="request", url=url, session="s", count=2)
        assert (first["error"], second["error"]["name"]) == (None, "RemoteDisconnected")
        assert (second["reused"], second["nth"], second["local"]) == (True, 2, first["local"])


def test_nobody_listens() -> None:
    with client() as them, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        (event, _) = them.do(do="request", url=f"http://127.0.0.1:{bound.getsockname()[1]}/")
        assert event["error"]["name"] == "ConnectionRefusedError"
        assert (event["local"], event["nth"], event["reused"], event["sk"]) == (None, None, False, None)


def test_nobody_answers_the_syn() -> None:
    """A listener whose accept queue is full drops the SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, client() as them:
        address = full.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            (event, _) = them.do(do="request", url=f"http://127.0.0.1:{address[1]}/", timeout=0.3)
            assert event["error"]["name"] == "ConnectTimeout"


def test_a_name_that_nobody_knows() -> None:
    with client() as them:
        (event, _) = them.do(do="request", url="http://no-such-node.invalid/", timeout=5.0)
        assert event["error"]["name"] == "NameResolutionError"


def test_an_address_that_cannot_be_reached_has_its_errno_as_name() -> None:
    with client() as them:
        (event, _) = them.do(do="request", url="http://255.255.255.255/")
        assert event["error"]["name"] in ("ENETUNREACH", "EACCES", "PermissionError")


def test_a_redirect_is_two_exchanges_of_one_request() -> None:
    def redirect(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
        read_request(connection)
        connection.sendall(OK)
        silent(connection)

    with client() as them, misbehaving(redirect) as url:
        first, second, _ = them.do(do="request", url=url)
        assert [(event["n"], event["status"], event["nth"]) for event in (first, second)] == [(1, 302, 1), (1, 200, 2)]
        assert first["t"] <= second["t0"]
        assert (first["bytes"], second["bytes"]) == (0, 2)


def test_a_write_that_the_library_swallowed_is_still_told() -> None:
    """The server's RST is there before the body goes out; urllib3 only says what reading the answer gave."""

    with client() as them, misbehaving(reset) as url:
        (event, _) = them.do(do="request", url=url, method="POST", body="x" * 20_000_000)
        assert event["send_error"]["name"] in ("ConnectionResetError", "BrokenPipeError")
        assert event["error"] is not None


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError(99, "Cannot assign requested address"), "EADDRNOTAVAIL"),
        (OSError(113, "No route to host"), "EHOSTUNREACH"),
        (TimeoutError(110, "Connection timed out"), "ETIMEDOUT"),
        (BrokenPipeError(32, "Broken pipe"), "BrokenPipeError"),
        (requests.exceptions.InvalidURL("bad"), "InvalidURL"),
        (requests.exceptions.ConnectionError(ConnectionResetError(104, "reset")), "ConnectionResetError"),
    ],
)
def test_the_innermost_cause_has_the_name(error: BaseException, name: str) -> None:
    assert cause_name(error) == name


def test_a_cause_that_leads_back_to_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert cause_name(first) == "KeyError"
