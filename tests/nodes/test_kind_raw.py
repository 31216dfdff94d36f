"""The client `raw` beside a real server: what it says of its exchanges, and of the requests in what it sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.kindclient import client
from tests.support.node_process import ORIGIN, NodeProcess, server

GET = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
HEAD = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\n"


@contextmanager
def pair(**knobs: str) -> Iterator[tuple[NodeProcess, NodeProcess, int]]:
    """The client, the server, its port."""
    with server(ORIGIN, **knobs) as (origin, port), client("raw") as raw:
        yield raw, origin, port


def send(text: str, **how: Any) -> dict[str, Any]:
    return {"do": "send", "text": text, **how}


def read(until: str = "response", **how: Any) -> dict[str, Any]:
    return {"do": "read", "until": until, **how}


def exchange(raw: NodeProcess, port: int, *actions: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """The events of a command: requests and exchanges, in the order in which they ended."""
    raw.send({"id": 1, "do": "raw", "url": f"tcp://127.0.0.1:{port}", "actions": list(actions), **fields})
    events = [raw.next("request", "raw", "done")]
    while events[-1]["ev"] != "done":
        events.append(raw.next("request", "raw", "done"))
    assert "error" not in events[-1], events[-1]
    return events[:-1]


def ended(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["done"], event["error"] and event["error"]["name"], event["sent"], event["received"]


@pytest.mark.parametrize(
    ("actions", "reason"), [([], "peer"), ([{"do": "close"}], "peer"), ([{"do": "reset"}], "error")]
)
def test_a_check_that_only_connects_is_no_request(actions: list[dict[str, Any]], reason: str) -> None:
    with pair() as (raw, origin, port):
        (told,) = exchange(raw, port, *actions)
        assert (told["ev"], *ended(told)) == ("raw", len(actions), None, 0, 0)
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"], closed["peer"]) == (reason, 0, told["local"])


def test_requests_in_one_segment_are_each_told() -> None:
    with pair() as (raw, origin, port):
        *requests, told = exchange(raw, port, send(GET * 3), read(count=3))
        assert [(one["nth"], one["status"], one["reused"]) for one in requests] == [
            (1, 200, False),
            (2, 200, True),
            (3, 200, True),
        ]
        assert {one["url"] for one in requests} == {f"http://127.0.0.1:{port}/"}
        assert requests[1]["t0"] < requests[0]["t"], "they did not wait for each other"
        assert ended(told)[:2] == (2, None)
        assert [origin.next("served")["nth"] for _ in range(3)] == [1, 2, 3]


def test_http_1_0_ends_with_its_connection() -> None:
    with pair() as (raw, _, port):
        request, told = exchange(raw, port, send("GET /chunked/10 HTTP/1.0\r\n\r\n"), read(), read("end"))
        assert (request["status"], request["bytes"], request["request_headers"]) == (200, 10, {})
        assert ended(told)[:2] == (3, None)


def test_a_body_that_waits_to_be_asked_for_and_comes_slowly() -> None:
    with pair() as (raw, origin, port):
        body = send("", fill=20, bytes=6, every=0.05)
        request, _ = exchange(raw, port, send(f"{HEAD}Expect: 100-continue\r\n\r\n"), read("continue"), body, read())
        assert (request["status"], request["bytes"]) == (200, 20)
        assert request["t"] - request["t0"] >= 0.15
        assert origin.next("answered")["nth"] == 1


@pytest.mark.parametrize(
    ("text", "last", "url", "reason"),
    [
        (GET[:-4], "close", "/", "peer"),
        ("GE", "close", None, "peer"),
        (f"{HEAD}\r\nabc", "reset", "/echo", "error"),
        (f"{HEAD}\r\nabc", "half-close", "/echo", "peer"),
    ],
)
def test_what_is_given_up_in_its_middle_was_sent_in_part(text: str, last: str, url: str | None, reason: str) -> None:
    with pair() as (raw, origin, port):
        request, told = exchange(raw, port, send(text), {"do": last})
        assert (request["error"]["name"], request["status"], request["whole"]) == ("Aborted", None, False)
        assert request["url"] == (url and f"http://127.0.0.1:{port}{url}")
        assert ended(told) == (2, None, len(text), 0)
        assert origin.next("closed")["reason"] == reason
        assert origin.seen("served") == []


def test_a_response_that_nobody_reads_belongs_to_a_whole_request() -> None:
    with pair() as (raw, origin, port):
        request, _ = exchange(raw, port, send(GET), read("data"), {"do": "close"})
        assert request["error"]["name"] == "Aborted"
        assert "whole" not in request
        assert origin.next("answered")["status"] == 200


def test_a_session_goes_on_with_its_connection() -> None:
    with pair() as (raw, origin, port):
        (told,) = exchange(raw, port, send(GET[:10]), session="kept")
        assert told["open"]
        request, again = exchange(raw, port, send(GET[10:]), read(), session="kept")
        assert (request["status"], request["local"], again["local"]) == (200, told["local"], told["local"])
        raw.send({"id": 2, "do": "close", "session": "kept"})
        assert "error" not in raw.next("done")
        assert origin.next("closed")["reason"] == "peer"


def test_what_a_session_leaves_unanswered_is_told_when_it_is_closed() -> None:
    with pair() as (raw, _, port):
        exchange(raw, port, send(GET[:10]), session="kept")
        raw.send({"id": 2, "do": "close", "session": "kept"})
        request = raw.next("request")
        assert (request["id"], request["error"]["name"], request["whole"]) == (1, "Aborted", False)


@pytest.mark.parametrize(
    ("knobs", "actions", "done", "error"),
    [
        ({"FAULT": "close-unanswered"}, [send(GET), read()], 1, "RemoteDisconnected"),
        ({"FAULT": "close-unread"}, [send(GET), read()], 1, "ConnectionResetError"),
        ({"FAULT": "never-answer"}, [send(GET), read(timeout=0.2)], 1, "ReadTimeout"),
        ({"KEEPALIVE_TIMEOUT": "100ms"}, [read("data")], 0, "RemoteDisconnected"),
        ({"KEEPALIVE_TIMEOUT": "100ms"}, [read("end")], 1, None),
        ({}, [send("hello\r\n\r\n"), read(), read()], 2, "RemoteDisconnected"),
    ],
)
def test_what_goes_wrong_ends_the_exchange(
    knobs: dict[str, str], actions: list[dict[str, Any]], done: int, error: str | None
) -> None:
    with pair(**knobs) as (raw, _, port):
        told = exchange(raw, port, *actions)[-1]
        assert ended(told)[:2] == (done, error)
        assert told["actions"] == len(actions)


def test_nobody_listens() -> None:
    with pair() as (raw, origin, port):
        origin.kill()
        first, second = exchange(raw, port, count=2, concurrency=2)
        assert {ended(first), ended(second)} == {(0, "ConnectionRefusedError", 0, 0)}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ({"do": "request"}, "unknown command 'request'; there are: raw, close"),
        ({"do": "raw", "actions": [{"do": "dance"}]}, "unknown action 'dance'"),
        ({"do": "raw", "url": "tcp://server"}, "url: expected a port"),
        ({"do": "raw", "url": "http://server:1/"}, "url: expected an absolute tcp:// URL"),
    ],
)
def test_wrong_commands_are_told(command: dict[str, Any], message: str) -> None:
    with client("raw") as raw:
        raw.send({"id": 1, "url": "tcp://server:1", **command})
        assert message in raw.next("done")["error"]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"TCP_KEEPALIVE_TIME": "5s"}, "TCP_KEEPALIVE_TIME: it is of no effect without TCP_KEEPALIVE=true"),
        ({"TCP_KEEPALIVE": "true", "TCP_KEEPALIVE_INTERVAL": "0.5s"}, "TCP_KEEPALIVE_INTERVAL: this software takes"),
        ({"TCP_KEEPALIVE": "true", "TCP_KEEPALIVE_PROBES": "128"}, "TCP_KEEPALIVE_PROBES: expected a whole number"),
        ({"LINGER": "forever"}, "LINGER: expected a duration"),
        ({"SOURCE_ADDRESS": "a b"}, "SOURCE_ADDRESS: expected an address or the name of a node"),
    ],
)
def test_wrong_knobs_are_named_in_one_line(knobs: dict[str, str], message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught, client("raw", **knobs):
        pass
    assert "Traceback" not in str(caught.value)
