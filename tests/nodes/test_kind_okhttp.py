"""nodes/okhttp as a real process: its pool, and what it repeats by itself."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.kinds.registry import argv, kind
from tests.nodes.test_kind_java_clients import Breaking
from tests.support.kindclient import answers, client
from tests.support.node_process import ORIGIN, NodeProcess, node, server

pytestmark = [pytest.mark.kinds("okhttp"), pytest.mark.java]


@pytest.fixture(scope="module")
def them() -> Iterator[NodeProcess]:
    """A client for all tests that need no knob; each has sessions of its own."""
    with client("okhttp") as process:
        yield process


def test_a_session_keeps_its_connection_and_both_ends_tell_the_same(them: NodeProcess) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port):
        url = f"http://127.0.0.1:{port}"
        first = answers(them.do(do="request", url=f"{url}/bytes/10", session="s", count=3))
        command = {"method": "POST", "headers": {"X-One": "1"}, "body": "grüße", "session": "s"}
        (last,) = answers(them.do(do="request", url=f"{url}/echo", **command))
        served = [origin.next("served") for _ in range(4)]
        assert [event["nth"] for event in (*first, last)] == [1, 2, 3, 4]
        assert {event["local"] for event in (*first, last)} == {event["peer"] for event in served}
        assert [event["bytes"] for event in (*first, last)] == [10, 10, 10, len("grüße".encode())]
        assert last["request_headers"]["X-One"] == "1"
        (alone,) = answers(them.do(do="request", url=f"{url}/"))
        assert (alone["nth"], alone["local"] == last["local"]) == (1, False)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("reset", "error"), [(False, "RemoteDisconnected"), (True, "ConnectionResetError")])
def test_it_sends_again_what_failed_on_a_pooled_connection_a_post_too(
    them: NodeProcess, reset: bool, error: str, method: str
) -> None:
    more: dict[str, Any] = {"method": method, **({"body": "x"} if method == "POST" else {})}
    with Breaking(reset=reset) as breaking:
        session = f"{method} {error}"
        (first,) = answers(them.do(do="request", url=breaking.url, session=session))
        failed, again = them.do(do="request", url=breaking.url, session=session, **more)[:-1]
        assert (first["nth"], failed["nth"], again["nth"]) == (1, 2, 1)
        assert (failed["status"], failed["error"], failed["send_error"]["name"]) == (None, None, error)
        assert (again["status"], again["n"], again["error"]) == (200, 1, None)


def test_without_retries_it_fails() -> None:
    with Breaking(reset=False) as breaking, client("okhttp", RETRIES="0") as them:
        answers(them.do(do="request", url=breaking.url, session="s"))
        (event,) = them.do(do="request", url=breaking.url, session="s")[:-1]
        assert (event["nth"], event["error"]["name"]) == (2, "RemoteDisconnected")


def test_errors_have_the_names_that_all_clients_use(them: NodeProcess) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        port = silent.getsockname()[1]

        def error(url: str, **more: Any) -> str:
            event = them.do(do="request", url=url, **more)[-2]
            assert event["error"]["text"]
            return str(event["error"]["name"])

        assert error(f"http://127.0.0.1:{port}/", timeout=0.2) == "ReadTimeout"
        big = "x" * (16 << 20)
        assert error(f"http://127.0.0.1:{port}/", timeout=0.3, method="POST", body=big) == "WriteTimeout"
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        assert error(f"http://127.0.0.1:{nobody}/") == "ConnectionRefusedError"
        assert error("http://no.such.host.invalid/") == "NameResolutionError"
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    with full, socket.create_connection(full.getsockname()):
        (event,) = them.do(do="request", url=f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.2)[:-1]
        assert (event["error"]["name"], event["local"]) == ("ConnectTimeout", None)


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_that_is_cut_short(them: NodeProcess, reset: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        them.send({"do": "request", "url": f"http://127.0.0.1:{listening.getsockname()[1]}/"})
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        event = them.next("request")
        assert (event["status"], event["error"]["name"]) == (200, "ConnectionResetError" if reset else "IncompleteRead")


@pytest.mark.parametrize(
    ("knob", "value", "said"),
    [("KEEPALIVE_EXPIRY", "0s", "from 1"), ("RETRIES", "2", "from 0 to 1")],
)
def test_a_wrong_knob_is_one_line(knob: str, value: str, said: str) -> None:

    with node(argv(kind("okhttp"), sys.executable), **{knob: value}) as process:
        assert process.process.wait(30) == 2
        (line,) = process.log().splitlines()
    assert line.startswith(f"okhttp: {knob}: ")
    assert said in line
