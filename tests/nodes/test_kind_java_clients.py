"""nodes/java-httpclient and nodes/apache-httpclient as real processes, against the reference server and worse ones."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.nodes.test_kind_java import CLIENTS, program, pytestmark
from tests.support.node_process import ORIGIN, PATIENCE, NodeProcess, node, server

__all__ = ["pytestmark"]


@contextmanager
def started(name: str, **knobs: str) -> Iterator[NodeProcess]:
    """A client that is ready."""
    with node(program(name), **knobs) as process:
        process.next("ready")
        yield process


@pytest.fixture(scope="module", params=CLIENTS)
def them(request: pytest.FixtureRequest) -> Iterator[NodeProcess]:
    """A client of each kind for all tests; every test has sessions of its own."""
    pool = {"POOL_MAXSIZE": "4"} if request.param == "apache-httpclient" else {}
    with started(request.param, **pool) as process:
        yield process


@pytest.fixture
def sees_the_end(them: NodeProcess) -> bool:
    """Whether the library reads the end of file of an idle connection before it wants to use it."""
    return "java-httpclient" in str(them.process.args)


@pytest.fixture
def session(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def test_a_session_keeps_its_connection_and_both_ends_tell_the_same(them: NodeProcess, session: str) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port):
        url = f"http://127.0.0.1:{port}"
        first = them.do(do="request", url=url + "/", session=session, count=3)[:-1]
        command = {"method": "POST", "headers": {"X-One": "1"}, "body": "grüße", "session": session}
        (last,) = them.do(do="request", url=url + "/echo", **command)[:-1]
        events = [*first, last]
        assert [event["nth"] for event in events] == [1, 2, 3, 4]
        assert [event["reused"] for event in events] == [False, True, True, True]
        assert [(event["n"], event["status"], event["error"]) for event in events] == [
            (1, 200, None), (2, 200, None), (3, 200, None), (1, 200, None),
        ]  # fmt: skip
        assert (last["bytes"], last["session"], last["method"]) == (len("grüße".encode()), session, "POST")
        for event in events:
            served = origin.next("served")
            assert (served["peer"], served["local"], served["nth"]) == (event["local"], event["peer"], event["nth"])
            assert served["request_headers"] == event["request_headers"]
            assert served["response_headers"] == event["response_headers"]
            assert event["t0"] < served["t"] < event["t"]  # one clock for Java and Python
        them.do(do="close", session=session)
        closed = origin.next("closed")
        assert (closed["reason"], closed["requests"]) == ("peer", 4)


def test_workers_share_the_session_and_every_request_names_its_connection(them: NodeProcess, session: str) -> None:
    with server(ORIGIN) as (_, port):
        command = {"url": f"http://127.0.0.1:{port}/delay/5", "session": session, "count": 60, "concurrency": 4}
        events = them.do(do="request", **command)[:-1]
        assert sorted(event["n"] for event in events) == list(range(1, 61))
        by_connection: dict[str, list[int]] = {}
        for event in events:
            assert event["error"] is None
            by_connection.setdefault(event["local"], []).append(event["nth"])
        assert 2 <= len(by_connection) <= 4
        assert all(sorted(counted) == list(range(1, len(counted) + 1)) for counted in by_connection.values())


def test_one_shot_requests_have_connections_of_their_own_and_close_them(them: NodeProcess) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port):
        events = them.do(do="request", url=f"http://127.0.0.1:{port}/", count=3)[:-1]
        assert [(event["nth"], event["session"]) for event in events] == [(1, None)] * 3
        assert len({event["local"] for event in events}) == 3
        assert {origin.next("closed")["reason"] for _ in events} == {"peer"}


class Breaking:
    """A server that answers the first request of a connection, and ends the connection when it has read the second."""

    def __init__(self, *, reset: bool, answers: int = 1) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._reset, self._answers = reset, answers
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def __enter__(self) -> Breaking:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._serve(self._listening.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(PATIENCE)
            for number in itertools.count():
                length = 0
                while (line := lines.readline().lower()) not in (b"\r\n", b""):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                lines.read(length)
                if number >= self._answers:
                    break
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(("reset", "error"), [(False, "RemoteDisconnected"), (True, "ConnectionResetError")])
def test_a_get_is_sent_again_on_a_new_connection_and_a_post_fails(
    them: NodeProcess, session: str, reset: bool, error: str
) -> None:
    with Breaking(reset=reset) as breaking:
        command = {"do": "request", "url": breaking.url, "session": session}
        firsts, events = [], them.do(**command)[:-1]
        # A busy client may not have put the connection back yet, and opens another one.
        while len(events) == 1:
            firsts += events
            events = them.do(**command)[:-1]
        swallowed, again = events
        first = next(one for one in firsts if one["local"] == swallowed["local"])
        assert (first["nth"], swallowed["nth"]) == (1, 2)
        assert (swallowed["status"], swallowed["error"], swallowed["send_error"]["name"]) == (None, None, error)
        assert (again["nth"], again["status"], again["n"]) == (1, 200, 1)
        assert again["local"] != first["local"]
        firsts.append(again)
        (failed,) = them.do(**command, method="POST", body="x")[:-1]
        while failed["nth"] == 1:
            firsts.append(failed)
            (failed,) = them.do(**command, method="POST", body="x")[:-1]
        assert failed["local"] in [one["local"] for one in firsts]
        assert (failed["nth"], failed["status"]) == (2, None)
        assert failed["error"]["name"] == error
        assert failed["error"]["text"]


def test_apache_retries_as_often_as_told() -> None:
    with Breaking(reset=False, answers=0) as breaking, started("apache-httpclient", RETRIES="2") as them:
        events = them.do(do="request", url=breaking.url, session="s")[:-1]
        assert [event["nth"] for event in events] == [1, 1, 1]
        assert [event["error"] is None for event in events] == [True, True, False]


def test_errors_have_the_names_that_all_clients_use(them: NodeProcess, session: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        port = silent.getsockname()[1]

        def error(url: str, **more: Any) -> tuple[str, str | None]:
            (event,) = them.do(do="request", url=url, session=session, **more)[:-1]
            assert event["error"]["text"]
            return event["error"]["name"], event["local"]

        named, local = error(f"http://127.0.0.1:{port}/", timeout=0.2)
        assert named == "ReadTimeout"
        assert local is not None
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        assert error(f"http://127.0.0.1:{nobody}/") == ("ConnectionRefusedError", None)
        assert error("http://no.such.host.invalid/") == ("NameResolutionError", None)


def test_a_connection_that_is_not_made_in_time(them: NodeProcess) -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    with full, socket.create_connection(full.getsockname()):
        (event,) = them.do(do="request", url=f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.2)[:-1]
        assert (event["error"]["name"], event["local"]) == ("ConnectTimeout", None)


def test_a_wrong_command_is_told_and_sends_nothing(them: NodeProcess) -> None:
    for command, said in (
        (b'{"do": "request", "url": "x"}', "http://"),
        (b'{"do": "request", "url": "http://h/", "method": "a b"}', "method"),
        (b'{"do": "request", "url": "http://h/", "count": 0.5}', "count"),
        (b'{"do": "request", "url": "http://h/", "timeout": 0}', "timeout"),
        (b'{"do": "request", "url": "http://h/", "headers": {"A": "b\\r\\nC: d"}}', "headers"),
        (b'{"do": "request", "url": "http://h/", "colour": 1}', "unknown field 'colour'"),
        (b'{"do": "close", "session": "s"}', "no session 's' is open"),
        (b'{"do": "dance"}', "unknown command 'dance'"),
        (b"[1]", "one JSON object"),
        (b'{"id": 1,}', "not JSON: Expected name at line 1 column 11"),
        (b'{"id": 1} 2', "not JSON"),
        (b'{"id": 1', "not JSON"),
    ):
        them.write(command + b"\n")
        event = them.next("request", "done")
        assert event["ev"] == "done", command
        assert said in event["error"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


def test_any_json_value_comes_back_as_it_went(them: NodeProcess) -> None:
    @given(_JSON)
    @settings(max_examples=100, database=None)
    def echo(value: object) -> None:
        them.send({"id": value, "do": "dance"})
        # Two halves of a pair that stand beside each other are one character once they were JSON.
        assert them.next("done")["id"] == json.loads(json.dumps(value))

    for value in ("\ud800", "a\udfffb", {"k": ["\ud800"]}, "\udc00\ud800", "\ud800\udc00"):
        echo = example(value)(echo)
    echo()


def test_a_client_ends_when_its_input_ends() -> None:
    with started("java-httpclient") as process:
        assert process.end() == 0


def test_what_it_does_with_a_connection_that_the_server_closed(
    them: NodeProcess, sees_the_end: bool, session: str
) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="200ms") as (origin, port):
        url = f"http://127.0.0.1:{port}/"
        (before,) = them.do(do="request", url=url, session=session)[:-1]
        assert origin.next("closed")["reason"] == "idle"
        if sees_the_end:
            wait_for_socket(before["local"], "time-wait", before["peer"])
        else:
            wait_for_socket(before["peer"], "close-wait", before["local"])
        (after,) = them.do(do="request", url=url, session=session, timeout=PATIENCE)[-2:-1]
        assert (after["nth"], after["error"]) == (1, None)
        assert after["local"] != before["local"]


def wait_for_socket(peer: str, state: str, local: str) -> None:
    command = ["ss", "-Htan", "state", state, "src", local, "dst", peer]
    deadline = time.monotonic() + PATIENCE
    while not subprocess.run(command, capture_output=True, check=True).stdout:
        assert time.monotonic() < deadline, f"no {state} {local} -> {peer}"
