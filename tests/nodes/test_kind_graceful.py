"""How servers end at SIGTERM: go and node as programs on them do, or the naive way; hypercorn after its timeout."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.components import require_kinds
from tests.support.kindserver import free_port, started
from tests.support.node_process import PATIENCE, Wire

KINDS = ["go", "node"]


def first_wire(process: subprocess.Popen[bytes], port: int) -> Wire:
    """A connection to a server, as soon as it listens."""
    deadline = time.monotonic() + 3 * PATIENCE  # Go may have to compile it first
    while True:
        try:
            return Wire(port)
        except ConnectionRefusedError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


def await_refusal(port: int) -> None:
    """Node lets idle connections go a moment before it stops listening."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            with Wire(port):
                time.sleep(0.02)
        except ConnectionRefusedError:
            return
    raise AssertionError("it still listens")


@pytest.mark.parametrize("name", KINDS)
def test_a_request_in_flight_gets_its_response_and_an_idle_connection_a_fin(name: str, tmp_path: Path) -> None:
    require_kinds(name)
    port = free_port()
    with (
        started(name, tmp_path, HTTP_PORT=str(port)) as process,
        first_wire(process, port) as idle,
        Wire(port) as busy,
    ):
        assert (idle.get("/").status, busy.get("/").status) == (200, 200)
        busy.send(b"GET /delay/1500 HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.3)  # it has been read by then
        process.send_signal(signal.SIGTERM)
        assert idle.read_end() == b""
        await_refusal(port)
        assert process.poll() is None, "it waits"
        assert busy.response().status == 200
        assert busy.read_end() == b""
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("knobs", [{"GRACEFUL": "false"}, {"GRACEFUL_TIMEOUT": "200ms"}])
def test_what_does_not_wait_ends_the_request_with_it(name: str, knobs: dict[str, str], tmp_path: Path) -> None:
    require_kinds(name)
    port = free_port()
    with started(name, tmp_path, HTTP_PORT=str(port), **knobs) as process, first_wire(process, port) as busy:
        assert busy.get("/").status == 200
        busy.send(b"GET /delay/20000 HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert busy.read_end() == b""
        process.wait(PATIENCE)


@pytest.mark.parametrize(("timeout", "status"), [("3s", 200), ("200ms", 500)])
def test_hypercorn_waits_for_a_request_as_long_as_it_is_told(tmp_path: Path, timeout: str, status: int) -> None:
    require_kinds("hypercorn")
    port = free_port()
    with (
        started("hypercorn", tmp_path, HTTP_PORT=str(port), GRACEFUL_TIMEOUT=timeout) as process,
        first_wire(process, port) as busy,
    ):
        busy.send(b"GET /delay/1500 HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert busy.response().status == status
        assert process.wait(PATIENCE) == 0
