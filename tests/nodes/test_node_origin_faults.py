"""The close modes and faults of nodes/origin, spoken to byte by byte; what the kernel shows is what ss says."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.support.node_process import ORIGIN, PATIENCE, NodeProcess, Wire, server

POST = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def sockets(port: int, state: str) -> list[str]:
    """The server's sockets in a state, as ss says: queues, addresses, timer, owner."""
    command = ["ss", "-Htanope", "state", state, "sport", "=", f":{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def awaited(look: Callable[[], list[str]]) -> list[str]:
    """What `look` finds once it finds something: the kernel may need a moment."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline
    return found


def recv_q(line: str) -> int:
    return int(line.split()[0])


def closed(origin: NodeProcess) -> tuple[str, int]:
    event = origin.next("closed")
    return event["reason"], event["requests"]


def told(origin: NodeProcess) -> list[str]:
    """What else it has said, to its end, which is now."""
    origin.process.kill()
    return [event["ev"] for event in origin.rest()]


# -- how it closes ---------------------------------------------------------------------------------------------------


def test_a_half_closed_idle_connection_is_read_on_and_stays() -> None:
    with server(ORIGIN, CLOSE_HOW="half-close", KEEPALIVE_TIMEOUT="200ms") as (origin, port), Wire(port) as wire:
        wire.get("/")
        assert wire.read_end() == b""
        assert closed(origin) == ("idle", 1)
        (held,) = awaited(lambda: sockets(port, "fin-wait-2"))
        assert f"pid={origin.process.pid}," in held
        assert "timer:" not in held
        for _ in range(2):  # it is read and thrown away: no RST comes back, or the second would not go out
            wire.send(GET)
            awaited(lambda: [line for line in sockets(port, "fin-wait-2") if recv_q(line) == 0])
        wire.socket.shutdown(socket.SHUT_WR)
        (left,) = awaited(lambda: sockets(port, "time-wait"))
        assert "pid=" not in left
        assert told(origin) == []


@pytest.mark.parametrize(("knobs", "reason"), [({"KEEPALIVE_REQUESTS": "1"}, "limit"), ({}, "request")])
def test_half_close_is_for_every_close_of_its_own(knobs: dict[str, str], reason: str) -> None:
    with server(ORIGIN, CLOSE_HOW="half-close", **knobs) as (origin, port), Wire(port) as wire:
        response = wire.get("/", *(["Connection: close"] if reason == "request" else []))
        assert response.headers["connection"] == "close"
        assert wire.read_end() == b""
        assert closed(origin) == (reason, 1)
        assert f"pid={origin.process.pid}," in awaited(lambda: sockets(port, "fin-wait-2"))[0]


def test_what_is_held_half_closed_ends_with_the_server() -> None:
    with server(ORIGIN, CLOSE_HOW="half-close", KEEPALIVE_TIMEOUT="100ms") as (origin, port), Wire(port) as wire:
        wire.get("/")
        assert closed(origin) == ("idle", 1)
        origin.process.send_signal(signal.SIGTERM)
        assert origin.process.wait(PATIENCE) == 0
        assert not [event for event in origin.rest() if event["ev"] == "closed"], "it was told once"


@pytest.mark.parametrize(
    ("knobs", "header", "reason"),
    [
        ({"KEEPALIVE_TIMEOUT": "200ms"}, (), "idle"),
        ({"KEEPALIVE_REQUESTS": "1"}, (), "limit"),
        ({}, ("Connection: close",), "request"),
        ({"FAULT": "close-unannounced"}, (), "unannounced"),
    ],
)
def test_a_reset_leaves_nothing_on_either_side(knobs: dict[str, str], header: tuple[str, ...], reason: str) -> None:
    with server(ORIGIN, CLOSE_HOW="reset", **knobs) as (origin, port), Wire(port) as wire:
        assert wire.get("/", *header).status == 200  # what was sent arrives, and the RST behind it
        with pytest.raises(ConnectionResetError):
            wire.read_end()
        assert closed(origin) == (reason, 1)
        assert [sockets(port, state) for state in ("time-wait", "fin-wait-2", "established")] == [[], [], []]


def test_a_client_that_closes_first_is_not_reset() -> None:
    """CLOSE_HOW is for what the server does of its own will."""
    with server(ORIGIN, CLOSE_HOW="reset") as (origin, port), Wire(port) as wire:
        wire.get("/")
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.read_end() == b""
        assert closed(origin) == ("peer", 1)


# -- faults that close -----------------------------------------------------------------------------------------------


def test_an_unannounced_close_says_nothing_in_the_headers() -> None:
    knobs = {"FAULT": "close-unannounced", "FAULT_AFTER": "2", "ADVERTISE": "true"}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        for _ in range(3):
            assert wire.get("/").headers["connection"] == "keep-alive"
        assert wire.read_end() == b""
        assert closed(origin) == ("unannounced", 3)


@pytest.mark.parametrize(("how", "error"), [("close", None), ("half-close", None), ("reset", ConnectionResetError)])
def test_an_unanswered_request_was_executed_all_the_same(how: str, error: type[Exception] | None) -> None:
    knobs = {"FAULT": "close-unanswered", "FAULT_AFTER": "1", "CLOSE_HOW": how}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        wire.get("/")
        wire.send(POST + b"hello")
        if error is None:
            assert wire.read_end() == b""
        else:
            with pytest.raises(error):
                wire.read_end()
        assert closed(origin) == ("unanswered", 2)
        served = origin.seen("served")[-1]
        assert (served["method"], served["status"], served["response_headers"]) == ("POST", None, None)


@pytest.mark.parametrize("before", [0, 1])
def test_an_unread_request_is_answered_by_the_kernel_with_a_reset(before: int) -> None:
    with server(ORIGIN, FAULT="close-unread", FAULT_AFTER=str(before)) as (origin, port), Wire(port) as wire:
        wire.send(GET * (before + 1))  # in one packet: what comes behind the good ones must stay unread
        for _ in range(before):
            assert wire.response().status == 200
        with pytest.raises(ConnectionResetError):
            wire.read_end()
        assert closed(origin) == ("unread", before)
        assert len(origin.seen("served")) == before


def test_an_unread_body_is_answered_and_then_reset() -> None:
    with server(ORIGIN, FAULT="close-unread-body") as (origin, port), Wire(port) as wire:
        assert wire.get("/").status == 200  # no body, so there is nothing to leave unread
        wire.send(POST)
        assert not select.select([wire.socket], [], [], 0.1)[0], "it waits for the body before it answers"
        wire.send(b"hello")
        assert (response := wire.response()).status == 413
        assert response.headers["connection"] == "close"
        with pytest.raises(ConnectionResetError):
            wire.read_end()
        assert closed(origin) == ("unread", 1)
        assert [event["method"] for event in origin.seen("served")] == ["GET"], "it was not executed"


def test_a_client_that_asks_before_it_sends_a_body_is_refused_at_once() -> None:
    with server(ORIGIN, FAULT="close-unread-body") as (origin, port), Wire(port) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert wire.response().status == 413
        assert wire.read_end() == b""
        assert closed(origin) == ("unread", 0)


@pytest.mark.parametrize("fault", ["close-unread", "close-unread-body", "close-unanswered"])
def test_the_idle_timer_goes_on_while_a_fault_waits_for_its_request(fault: str) -> None:
    with server(ORIGIN, FAULT=fault, KEEPALIVE_TIMEOUT="200ms") as (origin, port), Wire(port) as wire:
        assert wire.read_end() == b""
        assert closed(origin) == ("idle", 0)


@pytest.mark.parametrize(("how", "error"), [("close", None), ("half-close", None), ("reset", ConnectionResetError)])
@pytest.mark.parametrize(("fault", "size"), [("close-in-head", None), ("close-in-body", 500)])
def test_a_response_that_is_cut_ends_as_it_is_told(
    how: str, error: type[Exception] | None, fault: str, size: int | None
) -> None:
    knobs = {"FAULT": fault, "FAULT_AFTER": "1", "CLOSE_HOW": how}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        assert len(wire.get("/bytes/1000").body) == 1000
        wire.send(b"GET /bytes/1000 HTTP/1.1\r\nHost: test\r\n\r\n")
        got = bytearray()
        with pytest.raises(error) if error else contextlib.nullcontext():
            while data := wire.socket.recv(4096):
                got += data
        head, end, body = bytes(got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert (len(body) if end else None) == size
        assert closed(origin) == ("cut", 2)
        assert [event["status"] for event in origin.seen("served")] == [200, 200], "both were executed"
        assert len(origin.seen("answered")) == 1


@pytest.mark.parametrize("pieces", [1, 4])
def test_a_body_that_trickles_is_whole_in_the_end(pieces: int) -> None:
    knobs = {"FAULT": "trickle", "PACE_BYTES": str(40 // pieces), "PACE_INTERVAL": "50ms"}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        begun = time.monotonic()
        assert wire.get("/bytes/40").body == b"x" * 40
        assert time.monotonic() - begun >= 0.05 * pieces
        assert wire.get("/bytes/0").body == b""
        assert wire.get("/", "Connection: close").headers["connection"] == "close"
        assert wire.read_end() == b""
        assert closed(origin) == ("request", 3)
        assert len(origin.seen("answered")) == 3


def test_a_body_that_is_read_slowly_waits_in_the_receive_queue() -> None:
    knobs = {"FAULT": "read-slowly", "PACE_BYTES": "100", "PACE_INTERVAL": "50ms", "FAULT_AFTER": "1"}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        post = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 400\r\n\r\n" + b"y" * 400
        wire.send(post)
        assert wire.response().body == b"y" * 400
        begun = time.monotonic()
        wire.send(post)
        assert awaited(lambda: [line for line in sockets(port, "established") if 0 < recv_q(line) <= 400])
        assert wire.response().body == b"y" * 400
        assert time.monotonic() - begun >= 0.2
        assert [event["nth"] for event in (origin.next("answered"), origin.next("answered"))] == [1, 2]


# -- faults that do not close ----------------------------------------------------------------------------------------


def test_an_answer_that_never_comes_is_of_a_request_that_was_executed() -> None:
    knobs = {"FAULT": "never-answer", "FAULT_AFTER": "1", "KEEPALIVE_TIMEOUT": "100ms"}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire, Wire(port) as idle:
        assert wire.get("/").status == 200
        wire.send(GET)
        assert [origin.next("served")["status"] for _ in range(2)] == [200, None]
        assert closed(origin) == ("idle", 0)  # the other one
        wire.send(GET)
        awaited(lambda: [line for line in sockets(port, "established") if recv_q(line) == len(GET)])
        assert idle.read_end() == b""
        assert not select.select([wire.socket], [], [], 0.2)[0], "neither an answer nor the idle timer's FIN"


@pytest.mark.parametrize(("fault", "size"), [("never-body", 0), ("never-finish", 50)])
def test_a_response_that_was_begun_and_never_ends(fault: str, size: int) -> None:
    with server(ORIGIN, FAULT=fault, KEEPALIVE_TIMEOUT="100ms") as (origin, port), Wire(port) as wire:
        wire.send(b"GET /bytes/100 HTTP/1.1\r\nHost: test\r\n\r\n")
        got = b""
        while len(got.partition(b"\r\n\r\n")[2]) < size or b"\r\n\r\n" not in got:
            got += wire.socket.recv(4096)
        assert b"Content-Length: 100" in got
        assert origin.next("served")["status"] == 200
        wire.send(GET)
        awaited(lambda: [line for line in sockets(port, "established") if recv_q(line) == len(GET)])
        assert not select.select([wire.socket], [], [], 0.2)[0], "neither the rest nor the idle timer's FIN"
        assert told(origin) == []


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_never_read_stays_in_the_receive_queue(before: int) -> None:
    knobs = {"FAULT": "never-read", "FAULT_AFTER": str(before), "KEEPALIVE_TIMEOUT": "100ms"}
    with server(ORIGIN, **knobs) as (origin, port), Wire(port) as wire:
        wire.send(GET * (before + 1))
        for _ in range(before):
            assert wire.response().status == 200
        (line,) = awaited(lambda: [line for line in sockets(port, "established") if recv_q(line) == len(GET)])
        assert f"pid={origin.process.pid}," in line
        wire.socket.shutdown(socket.SHUT_WR)
        (line,) = awaited(lambda: sockets(port, "close-wait"))
        assert recv_q(line) == len(GET) + 1, "the FIN counts one"
        assert not select.select([wire.socket], [], [], 0.2)[0]
        assert told(origin) == ["served", "answered"] * before


def test_a_backlog_that_nobody_accepts_from_is_full_with_one_more() -> None:
    with server(ORIGIN, FAULT="never-accept", BACKLOG="2") as (origin, port):
        queued = [Wire(port) for _ in range(3)]
        late = socket.socket()
        late.setblocking(False)
        try:
            late.connect_ex(("127.0.0.1", port))
            (listener,) = sockets(port, "listening")
            assert re.match(r"3 +2 ", listener), listener
            shown = subprocess.run(
                ["ss", "-Htan", "state", "syn-sent", "dport", "=", f":{port}"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert len(shown.stdout.splitlines()) == 1
            origin.process.send_signal(signal.SIGTERM)
            assert origin.process.wait(PATIENCE) == 0
            assert origin.rest() == [], "it never accepted, so it has nothing to tell"
        finally:
            late.close()
            for wire in queued:
                wire.__exit__()


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"CLOSE_HOW": "abort"}, "CLOSE_HOW: expected close or half-close or reset"),
        ({"FAULT": "explode"}, "FAULT: expected none or close-unannounced or"),
        ({"PACE_BYTES": "0"}, "PACE_BYTES: expected a whole number from 1"),
        ({"PACE_INTERVAL": "1"}, "PACE_INTERVAL: expected a duration"),
        ({"FAULT_AFTER": "-1"}, "FAULT_AFTER: expected a whole number"),
    ],
)
def test_wrong_modes_are_named_in_one_line(knobs: dict[str, str], named: str) -> None:
    with pytest.raises(AssertionError, match=named) as caught, server(ORIGIN, **knobs):
        pass
    assert "Traceback" not in str(caught.value)
