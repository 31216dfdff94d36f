"""The real ss and netstat in a namespace: what they say of owners, though they see a node's own processes only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from orchestrator.observe import sstext
from orchestrator.observe.sstext import Place, socket_texts

pytestmark = pytest.mark.usefixtures("as_root")

NARROWED = """
import json, os, sys
from orchestrator.observe.procview import narrow_proc
narrow_proc([os.getpid()])
numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
files = [os.path.exists(f"/proc/{name}") for name in ("net/tcp", "self/fd", "mounts", "sys/kernel/hostname")]
print(json.dumps([os.getpid(), numbers, files]))
"""


@pytest.fixture
def home() -> Iterator[int]:
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def line_of(text: str, port: int) -> str:
    (line,) = (line for line in text.splitlines() if f":{port} " in line)
    return line


def test_the_owner_is_named_with_the_pid_that_we_know(home: int, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    ticks: list[None] = []
    texts = socket_texts({"me": Place(home, os.getpid())}, home, lambda: ticks.append(None))["me"]
    assert f"pid={os.getpid()}," in line_of(texts["ss"], port)
    assert f" {os.getpid()}/" in line_of(texts["netstat"], port)
    assert ticks


def test_processes_of_others_are_not_looked_at(home: int, listener: socket.socket) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        texts = socket_texts({"other": Place(home, other.pid)}, home)["other"]
        other.communicate()
    assert "pid=" not in line_of(texts["ss"], listener.getsockname()[1])


def test_a_tool_that_hangs_is_ended(home: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sstext, "COMMANDS", {"ss": ["sleep", "600"]})
    monkeypatch.setattr(sstext, "_TIMEOUT", 0.2)
    assert "not finished" in socket_texts({"me": Place(home, os.getpid())}, home)["me"]["ss"]


def test_a_narrow_proc_has_what_the_tools_read() -> None:
    done = subprocess.run([sys.executable, "-c", NARROWED], capture_output=True, text=True, check=True)
    pid, numbers, files = json.loads(done.stdout)
    assert numbers == [pid]
    assert files == [True] * 4
