"""Programs of nodes that wait for SIGTERM end with 0, in whatever moment it comes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.system.resources import NODES
from tests.support.kindserver import free_port, started
from tests.support.node_process import PATIENCE, NodeProcess, node

LATE_SHUTDOWN = """
import runpy, sys, threading
main = threading.get_ident()
real = threading.Event.set
def set_and_let_the_others_end(event):
    real(event)
    if threading.get_ident() == main:
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join()
threading.Event.set = set_and_let_the_others_end
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""The order of events of a busy machine: whoever waits for an event has ended before its set() returns."""

NAT_WITHOUT_RULES = """
import os, runpy, signal, subprocess, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
program = runpy.run_path(sys.argv[0])
class Forwards:
    def read_text(self):
        return "1"
program["main"].__globals__.update(_FORWARDING=Forwards(), _load=lambda rules: None)
program["main"]()
"""
"""The node's program, where the kernel is not to be asked for anything."""


@contextmanager
def running(prologue: str, program: str, **environment: str) -> Iterator[NodeProcess]:
    with node([sys.executable, "-c", prologue, str(NODES / program)], **environment) as process:
        process.next("ready")
        yield process


def test_origin_whose_acceptor_is_done_before_its_listener_is_shut_down() -> None:
    with running(LATE_SHUTDOWN, "origin/server.py", HTTP_PORT="0", FAULT="never-accept") as origin:
        origin.process.send_signal(signal.SIGTERM)
        assert origin.process.wait(PATIENCE) == 0, origin.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_a_nat_ends_when_it_is_told_to(number: signal.Signals) -> None:
    with running(NAT_WITHOUT_RULES, "nat/run.py") as nat:
        nat.process.send_signal(number)
        assert nat.process.wait(PATIENCE) == 0, nat.log()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter: as root, PostgreSQL becomes one. pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="simctl-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.kinds("postgres")
def test_postgres_is_shut_down_and_its_end_is_noticed(open_folder: Path) -> None:
    with started("postgres", open_folder, PORT=str(free_port())) as process:
        ready = await_ready(process, open_folder / "stdout")
        await_unblocked(ready["pid"], "SIGTERM")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, (open_folder / "stderr").read_text()
    assert "fast shutdown request" in (open_folder / "stderr").read_text()


@pytest.mark.kinds("postgres")
def test_a_postgres_that_dies_ends_its_node(open_folder: Path) -> None:
    with started("postgres", open_folder, PORT=str(free_port())) as process:
        subprocess.run(["kill", "-9", str(await_ready(process, open_folder / "stdout")["pid"])], check=True)
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL


def await_ready(process: subprocess.Popen[bytes], output: Path) -> dict[str, int]:
    deadline = time.monotonic() + PATIENCE
    while not (lines := output.read_text().splitlines()):
        assert process.poll() is None, output.with_name("stderr").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    event: dict[str, int] = json.loads(lines[0])
    return event


def await_unblocked(pid: int, name: str) -> None:
    """The server gets all signals: while it waits, that is. Between two waits PostgreSQL blocks them itself."""
    deadline = time.monotonic() + PATIENCE
    while name in blocked(pid):
        assert time.monotonic() < deadline, f"{name} stays blocked"
        time.sleep(0.02)


def blocked(pid: int) -> list[str]:
    """Names of the signals that a process has blocked: proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith("SigBlk:")), 16)
    return [number.name for number in signal.Signals if mask >> number - 1 & 1]
