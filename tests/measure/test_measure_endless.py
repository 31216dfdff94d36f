"""Servers that never come to an end, or write what only some can read: each measurement ends, and says what it met."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.measure.findings import Limit
from tests.support.measured import measured, read_request, scripted

TIMEOUT = 0.5
SOON = 10.0
"""Seconds that a busy machine may add."""

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
FLOOD = 0.0

NO_END = "its response began, and did not end in time"
NOTHING = "a request got no HTTP response: no response in time"


def _without_end(beginning: bytes, piece: bytes, pause: float, enough: threading.Event) -> Callable[..., None]:
    def answer(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(beginning)
        while not enough.wait(pause):
            connection.sendall(piece)

    return answer


@pytest.mark.parametrize(
    ("beginning", "piece", "pause", "words"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK * 50, FLOOD, NO_END),
        (HEAD + b"Content-Length: 99999999999999\r\n\r\n", b"x" * 200_000, FLOOD, NO_END),
        (HEAD + b"\r\n", b"x" * 200_000, FLOOD, NO_END),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, FLOOD, NOTHING),
        (HEAD, b"X: y\r\n" * 5000, FLOOD, "a head without an end"),
        (HEAD, b"X", 0.05, NOTHING),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 0.05, NO_END),
        (HEAD + b"\r\n", b"x", 0.05, NO_END),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 1.0, NO_END),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05, NOTHING),
    ],
    ids=[
        "chunks",
        "body with a length",
        "body up to the end",
        "100 Continue",
        "head",
        "drip in the head",
        "drip in the body",
        "drip up to the end",
        "a chunk a second",
        "100 Continue, slowly",
    ],
)
def test_what_never_ends_ends_with_the_timeout(beginning: bytes, piece: bytes, pause: float, words: str) -> None:
    enough = threading.Event()
    begun = time.monotonic()
    try:
        with (
            scripted(_without_end(beginning, piece, pause, enough)) as port,
            pytest.raises(EnvironmentFailure, match=words),
        ):
            measured(port, timeout=TIMEOUT)
        assert time.monotonic() - begun < TIMEOUT + SOON
    finally:
        enough.set()


def test_a_flood_behind_the_last_response_is_not_waited_out() -> None:
    """The first connection, which said close, is flooded instead."""
    enough = threading.Event()

    def answer(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nhi")
            while number == 0 and not enough.wait(FLOOD):
                connection.sendall(b"x" * 200_000)

    try:
        with scripted(answer) as port:
            told = measured(port, samples=1, requests=2, timeout=TIMEOUT)
    finally:
        enough.set()
    assert told.farewell.way == "none"
    assert told.limit == Limit(2, 2, closed=False, announced=False, time_was_up=False)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"Content-Length: 2, 2\r\n\r\nhi",
    ],
    ids=["bare LF", "Content-Length twice", "Content-Length twice in one line"],
)
def test_what_others_read_is_measured(response: bytes) -> None:
    def answer(connection: socket.socket, _: int) -> None:
        while read_request(connection):
            connection.sendall(response)

    with scripted(answer) as port:
        told = measured(port, timeout=TIMEOUT)
    assert told.problems == ()
    assert told.limit == Limit(5, 5, closed=False, announced=False, time_was_up=False)
    assert (told.idle.open, told.idle.closed) == (2, ())


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n", "illegal chunk header"),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n", "illegal chunk header"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", "conflicting Content-Length"),
        (b"Content-Length: 1_0\r\n\r\n" + b"x" * 10, "bad Content-Length"),
    ],
    ids=["1_0", "a chunk of 2**120", "two lengths", "length 1_0"],
)
def test_what_nobody_may_read_is_named(rest: bytes, words: str) -> None:
    def answer(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(HEAD + rest)

    with scripted(answer) as port, pytest.raises(EnvironmentFailure, match=f"its response is broken: {words}"):
        measured(port, timeout=TIMEOUT)
