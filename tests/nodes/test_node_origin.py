"""nodes/origin as a real process, spoken to byte by byte."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import time

import pytest

from tests.support.node_process import ORIGIN, PATIENCE, Wire, server


def test_a_connection_is_kept_and_everything_is_told() -> None:
    with server(ORIGIN) as (origin, port), Wire(port) as wire:
        local = f"127.0.0.1:{wire.socket.getsockname()[1]}"
        for nth in (1, 2, 3):
            response = wire.get("/?n=1", "X-Test: one", "X-Test: two")
            assert (response.status, response.body) == (200, b"simctl origin\n")
            assert "connection" not in response.headers
            served = origin.next("served")
            assert (served["nth"], served["path"], served["status"]) == (nth, "/?n=1", 200)
            assert served["peer"] == local
            assert served["request_headers"] == {"Host": "test", "X-Test": "one, two"}
            assert served["response_headers"]["Content-Length"] == "14"
            answered = origin.next("answered")
            assert (answered["nth"], answered["status"], answered["peer"]) == (nth, 200, local)
            assert served["t"] <= answered["t"]
        wire.socket.shutdown(socket.SHUT_WR)
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"], closed["peer"]) == ("peer", 3, local)
        assert closed["sk"] == served["sk"]
        assert int(closed["sk"], 16) > 0


@pytest.mark.parametrize(
    ("version", "header", "last"),
    [
        ("1.1", "Connection: close", True),
        ("1.1", "Connection: Keep-Alive", False),
        ("1.1", "Connection: x, Close", True),
        ("1.0", "Accept: */*", True),
        ("1.0", "Connection: keep-alive", False),
        ("1.0", "Connection: keep-alive, close", True),
    ],
)
def test_who_wants_to_close_is_obeyed(version: str, header: str, last: bool) -> None:
    """RFC 9112 section 9.3."""
    with server(ORIGIN) as (origin, port), Wire(port) as wire:
        response = wire.get("/", header, version=version)
        if last:
            assert response.headers["connection"] == "close"
            assert wire.read_end() == b""
            assert origin.next("closed")["reason"] == "request"
        else:
            assert response.headers.get("connection", "keep-alive") == "keep-alive"
            assert ("connection" in response.headers) == (version == "1.0")
            assert wire.get("/", header, version=version).status == 200


def test_the_limit_closes_after_the_last_request() -> None:
    with server(ORIGIN, KEEPALIVE_REQUESTS="2") as (origin, port), Wire(port) as wire:
        assert "connection" not in wire.get("/").headers
        assert wire.get("/").headers["connection"] == "close"
        assert wire.read_end() == b""
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"]) == ("limit", 2)
        assert origin.seen("served")[-1]["response_headers"]["Connection"] == "close"


@pytest.mark.parametrize(
    ("arguments", "knob"),
    [([], "300ms"), (["--httpKeepAliveTimeout=300"], "1h"), (["--httpKeepAliveTimeout", "300"], "1h")],
)
def test_an_idle_connection_is_closed_and_not_before(arguments: list[str], knob: str) -> None:
    with server([*ORIGIN, *arguments], KEEPALIVE_TIMEOUT=knob) as (origin, port), Wire(port) as wire:
        wire.get("/")
        answered = origin.next("served")["t"]
        assert wire.read_end() == b""
        closed = origin.next("closed")
        assert closed["reason"] == "idle"
        assert closed["t"] - answered >= 0.3


def test_an_idle_close_meets_a_request_with_a_reset() -> None:
    """close() with a request that nobody read is a RST: the ConnectionResetError of production."""
    with server(ORIGIN, KEEPALIVE_TIMEOUT="200ms") as (origin, port), Wire(port) as wire:
        wire.get("/")
        origin.next("closed")
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert wire.read_end() == b""  # the FIN was there first
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                wire.send(b"GET / HTTP/1.1\r\n")


def test_the_timeout_is_advertised_on_request_only() -> None:
    with server(ORIGIN, ADVERTISE="true", KEEPALIVE_TIMEOUT="7s") as (_, port), Wire(port) as wire:
        response = wire.get("/")
        assert response.headers["keep-alive"] == "timeout=7"
        assert response.headers["connection"] == "keep-alive"
        assert "keep-alive" not in wire.get("/", "Connection: close").headers


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("size", [0, 1, 8192, 100_000])
@pytest.mark.parametrize("path", ["bytes", "chunked"])
def test_bodies_come_whole(path: str, size: int, version: str) -> None:
    with server(ORIGIN) as (_, port), Wire(port) as wire:
        response = wire.get(f"/{path}/{size}", version=version)
        assert response.status == 200
        assert len(response.body) == size
        assert ("content-length" in response.headers) == (path == "bytes")


def test_head_and_statuses_have_no_body() -> None:
    with server(ORIGIN) as (_, port), Wire(port) as wire:
        response = wire.get("/bytes/5", method="HEAD")
        assert (response.status, response.headers["content-length"]) == (200, "5")
        assert wire.get("/chunked/5", method="HEAD").headers["transfer-encoding"] == "chunked"
        assert wire.get("/status/204").headers.get("content-length") is None
        assert wire.get("/status/304").status == 304
        assert wire.get("/status/503").body == b"503\n"
        assert wire.get("/nowhere").status == 404
        assert wire.get("/bytes/x").status == 400
        assert wire.get("/").status == 200


def test_request_bodies_are_read_with_length_and_in_chunks() -> None:
    with server(ORIGIN) as (_, port), Wire(port) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello")
        response = wire.response()
        assert (response.body, response.headers["content-type"]) == (b"hello", "a/b")
        head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert wire.response().body == b"abcde"
        wire.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        assert wire.response().status == 200


def test_a_client_may_ask_before_it_sends_a_body() -> None:
    with server(ORIGIN) as (_, port), Wire(port) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert wire.response().status == 100
        wire.send(b"ok")
        assert wire.response().body == b"ok"


def test_requests_in_one_packet_are_answered_in_order() -> None:
    one = b"GET /bytes/%d HTTP/1.1\r\nHost: test\r\n\r\n"
    with server(ORIGIN) as (origin, port), Wire(port) as wire:
        wire.send(b"".join(one % size for size in (1, 2, 3)))
        assert [len(wire.response().body) for _ in range(3)] == [1, 2, 3]
        assert [origin.next("served")["nth"] for _ in range(3)] == [1, 2, 3]


def test_what_follows_the_last_request_does_not_turn_the_close_into_a_reset() -> None:
    with server(ORIGIN, KEEPALIVE_REQUESTS="1") as (_, port), Wire(port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 3)
        assert wire.response().status == 200
        assert wire.read_end() == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431),
    ],
    ids=["nonsense", "no host", "bad length", "endless header"],
)
def test_a_bad_request_is_refused_and_ends_the_connection(request_: bytes, status: int) -> None:
    with server(ORIGIN) as (origin, port), Wire(port) as wire:
        wire.send(request_)
        response = wire.response()
        assert (response.status, response.headers["connection"]) == (status, "close")
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"]) == ("error", 0)
        assert origin.seen("served") == []


def test_a_reset_by_the_client_is_an_error() -> None:
    with server(ORIGIN) as (origin, port), Wire(port) as wire:
        wire.get("/")
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.__exit__()
        assert origin.next("closed")["reason"] == "error"


def sockets(port: int, state: str) -> list[str]:
    """The server's sockets in a state, as ss says."""
    command = ["ss", "-Htanp", "state", state, "sport", "=", f":{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_leak_keeps_the_socket_in_close_wait() -> None:
    with server(ORIGIN, LEAK="true", KEEPALIVE_TIMEOUT="300ms") as (origin, port):
        with Wire(port) as wire:
            wire.get("/")
        with Wire(port) as idle:
            idle.get("/")
            assert origin.next("closed")["reason"] == "idle"  # only the client's close is not answered
        (left,) = sockets(port, "close-wait")
        assert f"pid={origin.process.pid}," in left


def test_an_answer_may_take_its_time_and_a_stuck_handler_for_ever() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="100ms") as (origin, port), Wire(port) as stuck, Wire(port) as wire:
        stuck.send(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        served = origin.next("served")
        assert (served["path"], served["status"], served["response_headers"]) == ("/hang", None, None)
        begin = time.monotonic()
        assert wire.get("/delay/250").body == b"after 250 ms\n"
        assert time.monotonic() - begin >= 0.25
        stuck.socket.shutdown(socket.SHUT_WR)
        origin.next("closed")  # the other one, by its idle timer
        assert len(sockets(port, "close-wait")) == 1


def test_sigterm_closes_idle_connections_and_finishes_what_is_in_the_works() -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), Wire(port) as idle, Wire(port) as busy:
        idle.get("/")
        busy.send(b"GET /delay/300 HTTP/1.1\r\nHost: test\r\n\r\n")
        while origin.next("served")["path"] != "/delay/300":
            pass
        origin.process.send_signal(signal.SIGTERM)
        assert idle.read_end() == b""
        assert busy.response().status == 200
        assert busy.read_end() == b""
        assert origin.process.wait(PATIENCE) == 0
        closed = [event for event in origin.rest() if event["ev"] == "closed"]
        assert [event["reason"] for event in closed] == ["shutdown", "shutdown"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("arguments", "knobs", "named"),
    [
        (["--nope=1"], {}, "--httpPort"),
        (["--httpPort"], {}, "--httpPort"),
        (["--httpPort=x"], {}, "--httpPort"),
        ([], {"HTTP_PORT": "70000"}, "HTTP_PORT"),
        ([], {"KEEPALIVE_TIMEOUT": "5"}, "KEEPALIVE_TIMEOUT"),
        ([], {"KEEPALIVE_TIMEOUT": "0"}, "KEEPALIVE_REQUESTS=1"),
        ([], {"KEEPALIVE_REQUESTS": "-1"}, "KEEPALIVE_REQUESTS"),
        ([], {"LEAK": "perhaps"}, "LEAK"),
    ],
)
def test_wrong_settings_are_named_in_one_line(arguments: list[str], knobs: dict[str, str], named: str) -> None:
    with pytest.raises(AssertionError, match=named) as caught, server([*ORIGIN, *arguments], **knobs):
        pass
    assert "Traceback" not in str(caught.value)


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        with (
            pytest.raises(AssertionError, match=f"port {port}: Address already in use"),
            server(ORIGIN, HTTP_PORT=port),
        ):
            pass
