"""The server on Node's http."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.kindserver import ended, listening
from tests.support.node_process import Wire

pytestmark = pytest.mark.kinds("node")


def test_what_it_answers(tmp_path: Path) -> None:
    with listening("node", tmp_path) as port, Wire(port) as wire:
        line = wire.get("/")
        assert (line.status, line.body) == (200, b"simctl node\n")
        assert (line.headers["connection"], line.headers["keep-alive"]) == ("keep-alive", "timeout=5")
        for size in (0, 1000, 1_000_000):
            assert len(wire.get(f"/bytes/{size}").body) == size
        assert wire.get("/delay/1?x").body == b"waited\n"
        assert wire.get("/status/418").status == 418
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nhello")
        echo = wire.response()
        assert (echo.body, echo.headers["content-type"]) == (b"hello", "text/x")
        wrong = [
            wire.get(path).status for path in ("/nothing", "/bytes/-1", "/bytes/x", "/status/99", "/delay/9999999")
        ]
        assert wrong == [404, 404, 404, 400, 400]


def test_a_limit_of_requests_a_client_that_says_close_and_an_idle_one(tmp_path: Path) -> None:
    with listening("node", tmp_path, KEEPALIVE_REQUESTS="2", KEEPALIVE_TIMEOUT="1s") as port:
        with Wire(port) as wire:
            assert wire.get("/").headers["keep-alive"] == "timeout=1, max=2"
            assert wire.get("/").headers["connection"] == "close"
            assert wire.read_end() == b""
        with Wire(port) as wire:
            assert wire.get("/", "Connection: close").headers["connection"] == "close"
            assert wire.read_end() == b""
        with Wire(port) as wire:
            wire.get("/")
            assert wire.read_end() == b""


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"KEEPALIVE_TIMEOUT": "1.5ms"}, "KEEPALIVE_TIMEOUT: this software takes whole milliseconds"),
        ({"KEEPALIVE_TIMEOUT": "1000h"}, "KEEPALIVE_TIMEOUT: this software takes whole milliseconds"),
        ({"KEEPALIVE_REQUESTS": "many"}, "KEEPALIVE_REQUESTS: expected a whole number"),
        ({"BACKLOG": "0"}, "BACKLOG: expected a whole number from 1"),
    ],
)
def test_a_wrong_knob_is_one_line(tmp_path: Path, knobs: dict[str, str], said: str) -> None:
    status, log = ended("node", tmp_path, **knobs)
    assert status == 2
    assert said in log
    assert log.count("\n") == 1


def test_a_port_that_is_taken_is_told_in_the_programs_words(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with listening("node", tmp_path) as port:
        status, log = ended("node", tmp_path / "second", HTTP_PORT=str(port))
    assert (status, log) == (1, f"node: listen EADDRINUSE: address already in use 0.0.0.0:{port}\n")


@pytest.mark.netns
def test_it_closes_what_is_idle(simctl: Simctl, tmp_path: Path) -> None:
    """By close(): an orphan in FIN_WAIT2. Node 20.20 adds a second to its timeout, 18.20 does not; neither tells."""
    (tmp_path / "compose.yaml").write_text(
        "services:\n  client: {image: simctl/requests}\n"
        "  server: {image: simctl/node, environment: {KEEPALIVE_TIMEOUT: 1s, BACKLOG: 7}}\n"
    )
    story = tmp_path / "idle.yaml"
    story.write_text(
        "name: idle\ntopology: compose.yaml\nsteps:\n"
        '  - request: {from: client, url: "http://server:8080/", session: a, count: 2}\n'
        "  - {name: idle, wait: 3s}\n"
        "expect:\n  - that: it closes first\n    at: idle.end\n"
        "    server: {FIN_WAIT2: 1, first_fin: 1, others: 0}\n"
        "    client: {CLOSE_WAIT: 1, others: 0}\n"
    )
    done = simctl("run", story, "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout
    (table,) = (tmp_path / "runs").glob("*/ss/idle.end/server.ss.txt")
    lines = table.read_text().splitlines()
    (line,) = (line for line in lines if "FIN-WAIT-2" in line)
    assert "timer:(timewait," in line
    assert "users:" not in line
    (listener,) = (line for line in lines if line.startswith("LISTEN"))
    assert listener.split()[2] == "7"
