"""The real ss and netstat in a namespace: what they say of owners, though they see a node's own processes only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.observe.sources import sstext
from orchestrator.observe.sources.sstext import Place, SocketTexts

pytestmark = pytest.mark.usefixtures("as_root")

NARROWED = """
import json, os, sys
from orchestrator.observe.sources.procview import ProcView
view = ProcView()
view.show([1, os.getpid()])
view.show([os.getpid()])
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
def texts(home: int) -> Iterator[SocketTexts]:
    made = SocketTexts(home)
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def line_of(text: str, port: int) -> str:
    """The listening socket's. The kernel gives out a port again of which an older connection is still in TIME_WAIT, and
    another test on this machine may connect from it."""
    (line,) = (line for line in text.splitlines() if f":{port} " in line and "LISTEN" in line)
    return line


def test_the_owner_is_named_with_the_pid_that_we_know(texts: SocketTexts, home: int, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    ticks: list[None] = []
    said = texts.read({"me": Place(home, os.getpid())}, lambda: ticks.append(None))["me"]
    assert f"pid={os.getpid()}," in line_of(said["ss"], port)
    assert f" {os.getpid()}/" in line_of(said["netstat"], port)
    assert ticks


def test_owners_below_the_first_process_are_named(texts: SocketTexts, home: int) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    argv = ["sh", "-c", f'{sys.executable} -c "$1"; true', "sh", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as above:
        assert above.stdout is not None
        port = int(above.stdout.readline())
        for _ in range(2):
            said = texts.read({"me": Place(home, above.pid)})["me"]
            assert "pid=" in line_of(said["ss"], port)
            assert "/python" in line_of(said["netstat"], port)
        above.communicate("\n")


def test_processes_of_others_are_not_looked_at(texts: SocketTexts, home: int, listener: socket.socket) -> None:
    """Neither at first, nor when they were looked at before."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        for pid, named in ((other.pid, False), (os.getpid(), True), (other.pid, False)):
            nodes = {f"{number}": Place(home, pid) for number in range(9)}
            for said in texts.read(nodes).values():
                assert ("pid=" in line_of(said["ss"], listener.getsockname()[1])) == named
        other.communicate()


def test_the_readers_own_proc_stays_as_it_is(texts: SocketTexts, home: int) -> None:
    before = Path("/proc/self/ns/mnt").readlink(), Path("/proc/self/mounts").read_text()
    texts.read({"me": Place(home, os.getpid())})
    assert (Path("/proc/self/ns/mnt").readlink(), Path("/proc/self/mounts").read_text()) == before


def test_a_tool_that_hangs_is_ended(texts: SocketTexts, home: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sstext, "_tools", lambda: {"ss": ["/bin/sleep", "600"]})
    monkeypatch.setattr(sstext, "_TIMEOUT", 0.2)
    assert "not finished" in texts.read({"me": Place(home, os.getpid())})["me"]["ss"]


def test_a_narrow_proc_has_what_the_tools_read() -> None:
    done = subprocess.run([sys.executable, "-c", NARROWED], capture_output=True, text=True, check=True)
    pid, numbers, files = json.loads(done.stdout)
    assert numbers == [pid]
    assert files == [True] * 4
