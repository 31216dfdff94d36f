"""What clients can do of a request beyond the plain one: made-up bodies, held responses, each timer by itself."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.kinds.registry import load_kinds
from tests.support.kindclient import answers, client

KINDS = {name: kind for name, kind in load_kinds().items() if kind.options}
BIG = 1_000_000
"""Bytes of a response, more than any client's own buffer."""


def able(option: str) -> list[Any]:
    """The kinds that can; the first of them, and requests, in the quick tests."""
    names = [name for name, kind in KINDS.items() if option in kind.options]
    marks = {name: [] if name in (names[0], "requests") else [pytest.mark.slow] for name in names}
    return [pytest.param(name, marks=[pytest.mark.kinds(name), *marks[name]]) for name in names]


class Sink(ThreadingHTTPServer):
    """Counts what comes, and answers with many bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[str | None, int]] = []
        """Content-Length of each request, and how much came."""
        self.ended = threading.Semaphore(0)
        """Released for each connection that its client closed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_POST(self) -> None:
        length = self.headers["Content-Length"]
        left = int(length or 0)
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
        self.server.came.append((length, int(length or 0) - left))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(BIG))
        self.end_headers()
        self.wfile.write(b"x" * BIG)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True
        self.server.ended.release()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@contextmanager
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("name", able("body.size"))
def test_a_body_is_made_up_with_its_length(name: str) -> None:
    with sink() as server, client(name) as them:
        post = {"do": "request", "url": server.url, "method": "POST"}
        for size in (1, 3_000_000):
            (event,) = answers(them.do(**post, body_size=size, session="pool"))
            assert (event["status"], event["bytes"]) == (200, BIG)
        answers(them.do(**post, body_size=70_000, headers={"content-length": "70000"}))
        assert server.came == [(str(size), size) for size in (1, 3_000_000, 70_000)]


@pytest.mark.parametrize("name", able("body.size"))
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_large_body_is_never_in_memory(name: str) -> None:
    size = 1_000_000_000
    with sink() as server, client(name) as them:
        answers(them.do(do="request", url=server.url, method="POST", body_size=size, timeout=60.0))
        assert server.came == [(str(size), size)]
        status = Path(f"/proc/{them.process.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        assert peak < 200_000_000, f"{peak} bytes"


@pytest.mark.parametrize("name", able("hold"))
def test_a_held_response_keeps_its_connection_until_its_session_is_closed(name: str) -> None:
    with sink() as server, client(name) as them:
        get = {"do": "request", "url": server.url, "session": "pool"}
        (held,) = answers(them.do(**get, hold=True))
        assert (held["status"], held["held"], "bytes" in held) == (200, True, False)
        (other,) = answers(them.do(**get))
        assert (other["reused"], other["bytes"]) == (False, BIG)
        assert "held" not in other
        assert other["local"] != held["local"]
        (again,) = answers(them.do(**get))
        assert again["local"] == other["local"], "that one came back to the pool"
        assert not server.ended.acquire(blocking=False), "nothing is closed"
        them.do(do="close", session="pool")
        for _ in range(2):
            assert server.ended.acquire(timeout=10), "both are closed with their session"


@pytest.mark.parametrize("name", able("timeout.pool"))
def test_a_slot_that_never_comes_back(name: str) -> None:
    full: dict[str, dict[str, str]] = {"urllib3": {"POOL_MAXSIZE": "1", "POOL_BLOCK": "true"}}
    with sink() as server, client(name, **full.get(name, {"MAX_CONNECTIONS": "1"})) as them:
        get = {"do": "request", "url": server.url, "session": "pool"}
        answers(them.do(**get, hold=True))
        (failed, _) = them.do(**get, timeouts={"pool": 0.2})
        assert failed["error"]["name"] == "PoolTimeout", failed["error"]
        assert (failed["nth"], failed["local"]) == (None, None)
        them.do(do="close", session="pool")
        answers(them.do(**get))


@pytest.mark.parametrize("name", able("timeout.read") + able("timeout.total"))
def test_a_response_that_does_not_come(name: str) -> None:
    timer = "read" if "timeout.read" in KINDS[name].options else "total"
    with socket.create_server(("127.0.0.1", 0)) as listener, client(name, **_once(name)) as them:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        (event, _) = them.do(do="request", url=url, timeout=60.0, timeouts={timer: 0.2})
        assert event["error"]["name"] == "ReadTimeout", event["error"]
        assert event["t"] - event["t0"] < 30


@pytest.mark.parametrize("name", able("timeout.connect"))
def test_a_connection_that_does_not_come_about(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, client(name, **_once(name)) as them:
        where = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:  # the accept queue is full: further SYNs are dropped
            one.setblocking(False)
            one.connect_ex(where)
        (event, _) = them.do(do="request", url=f"http://127.0.0.1:{where[1]}/", timeout=60.0, timeouts={"connect": 0.2})
        assert event["error"]["name"] == "ConnectTimeout", event["error"]
        assert event["t"] - event["t0"] < 30
        for one in waiting:
            one.close()


@pytest.mark.parametrize("name", able("timeout.write"))
def test_a_request_that_is_not_read(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, client(name) as them:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        post = {"do": "request", "url": url, "method": "POST", "body_size": 100_000_000}
        (event, _) = them.do(**post, timeout=60.0, timeouts={"write": 0.2})
        assert event["error"]["name"] == "WriteTimeout", event["error"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.kinds(name), pytest.mark.slow]) for name in KINDS]
)
def test_a_client_does_what_its_node_yaml_says_and_no_more(name: str) -> None:
    url = "http://127.0.0.1:1/"
    with client(name) as them:
        asked: dict[str, dict[str, Any]] = {
            "body.size": {"body_size": 1},
            "hold": {"hold": True, "session": "pool"},
            **{
                f"timeout.{timer}": {"timeouts": {timer: 1.0}}
                for timer in ("connect", "read", "write", "pool", "total")
            },
        }
        for option, fields in asked.items():
            events = them.do(do="request", url=url, **fields)
            assert ("error" not in events[-1]) == (option in KINDS[name].options), (option, events)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"body_size": 0}, "body_size: expected 1 or more"),
        ({"body_size": 1, "body": "x"}, "body_size: the command has a `body` already"),
        ({"hold": True}, "hold: a response that is held needs a session"),
        ({"timeouts": {"read": 0}}, "timeouts: read: expected seconds, more than 0"),
        ({"timeouts": {"write": 1.0}}, "timeouts: this client has no `write` of its own"),
    ],
)
def test_a_wrong_option_sends_nothing(fields: dict[str, Any], named: str) -> None:
    with client("requests") as them:
        (done,) = them.do(do="request", url="http://127.0.0.1:1/", **fields)
        assert named in done["error"]


def _once(name: str) -> dict[str, str]:
    """urllib3 would ask again and again."""
    return {"RETRIES": "0"} if name == "urllib3" else {}


@pytest.mark.parametrize(
    ("name", "oldest", "seconds"),
    [
        pytest.param("apache-httpclient", "300ms", 0.3, marks=pytest.mark.kinds("apache-httpclient")),
        pytest.param("libcurl", "1s", 2.0, marks=[pytest.mark.kinds("libcurl"), pytest.mark.slow]),
    ],
)
def test_a_connection_that_is_too_old_is_replaced_when_it_is_next_wanted(
    name: str, oldest: str, seconds: float
) -> None:
    with sink() as server, client(name, MAX_LIFETIME=oldest) as them:
        get = {"do": "request", "url": server.url, "session": "pool"}
        events = answers(them.do(**get))
        born = events[0]["t0"]
        while events[-1]["t0"] < born + seconds + 0.5:  # it is in use all the time: it does not idle
            events += answers(them.do(**get, count=2, interval=0.05))
        fresh = [event for event in events if not event["reused"]]
        assert [event["local"] for event in fresh] == list(dict.fromkeys(event["local"] for event in events))
        assert len(fresh) >= 2
        for before, after in itertools.pairwise(fresh):
            last = max(event["t0"] for event in events if event["local"] == before["local"])
            assert last < before["t"] + seconds + 0.02, "none is used when it is older; Java's clock has another origin"
            assert after["t"] > before["t0"] + seconds - 0.02
