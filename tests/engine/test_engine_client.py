"""Reaching the engine: every way in which it can fail to answer is one clear message, in bounded time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.errors import EnvironmentFailure


@contextmanager
def listener(path: Path, answer: bytes | None) -> Iterator[None]:
    """A Unix socket that accepts, and then says `answer`, or nothing at all."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=10)
            for connection in held:
                connection.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


def refused(match: str) -> None:
    began = time.monotonic()
    with pytest.raises(EnvironmentFailure, match=match) as caught:
        dockerengine.connect(timeout=1)
    assert time.monotonic() - began < 30
    assert "--runtime netns" in (caught.value.hint or "")
    answers, why = dockerengine.engine_answers()
    assert not answers
    assert "\n" not in why


def test_no_socket(path: Path) -> None:
    refused("no Docker engine: there is no .*engine.sock")


def test_a_socket_that_nobody_serves(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    refused("engine.sock is not running")


def test_an_engine_that_accepts_and_never_answers(path: Path) -> None:
    with listener(path, None):
        refused("did not answer within")


def test_an_engine_that_hangs_up(path: Path) -> None:
    with listener(path, b""):
        refused("no proper answer: nothing")


def test_something_else_than_an_engine(path: Path) -> None:
    with listener(path, b"SSH-2.0-OpenSSH_9.2\r\n"):
        refused("no proper answer: SSH-2.0")


def test_an_engine_that_is_broken(path: Path) -> None:
    with listener(path, b"HTTP/1.1 500 Internal Server Error\r\n\r\n"):
        refused("no proper answer: HTTP/1.1 500")


def test_an_engine_that_pings_and_nothing_more(path: Path) -> None:
    with listener(path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"):
        assert dockerengine.engine_answers()[0]
        with pytest.raises(EnvironmentFailure, match="does not answer"):
            dockerengine.connect(timeout=1)


def test_a_port_that_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{unused.getsockname()[1]}")
        refused("the Docker engine at tcp://127.0.0.1:.* does not answer")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to see what others see")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with listener(path, None):
        code = (
            "import os; from orchestrator.engine.client import engine_answers\n"
            "os.setuid(65534)\n"
            "print(engine_answers())"
        )
        environment = os.environ | {"DOCKER_HOST": f"unix://{path}"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "(False, 'no permission to use" in done.stdout


def test_asking_whether_an_engine_answers_does_not_load_its_client(path: Path) -> None:
    code = (
        "import sys; from orchestrator.engine import client; from orchestrator.runtimes.docker import images, runtime\n"
        "print(client.engine_answers()[0], 'docker' in sys.modules, 'requests' in sys.modules)"
    )
    with listener(path, b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n\r\nOK"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]
