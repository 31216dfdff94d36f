"""However a run ends, nothing stays: Ctrl-C and kill -9 in every phase, seen from the machine's side."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.system.linux import descendants, process_start_time
from tests.support.live import await_line, started

pytestmark = pytest.mark.netns

DEADLINE = 20.0

PHASES = ["runtime netns", "up:", "load:", "idle:"]
"""Starts of progress lines: the phase has begun when its line is there."""


def machine() -> tuple[set[str], set[str]]:
    """What a lab could leave on the machine: interfaces and mounts of the root namespaces, an engine's own left out."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    interfaces = {entry.name for entry in Path("/sys/class/net").iterdir()}
    return interfaces, {line for line in mounts if "docker" not in line}


def network_namespaces(pids: list[int]) -> set[str]:
    found = set()
    for pid in pids:
        try:
            found.add(str(Path(f"/proc/{pid}/ns/net").readlink()))
        except OSError:
            continue
    return found - {str(Path("/proc/self/ns/net").readlink())}


def await_gone(pids: list[int], namespaces: set[str]) -> None:
    """Until none of the processes lives, and no process that is as old as they are is in one of the namespaces.

    Younger ones may be: the kernel gives the number of a namespace that is gone to the next one.
    """
    now = int(float(Path("/proc/uptime").read_text().split()[0]) * os.sysconf("SC_CLK_TCK"))
    deadline = time.monotonic() + DEADLINE
    while True:
        living = [pid for pid in pids if Path(f"/proc/{pid}").exists() and not _zombie(pid)]
        everyone = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        old = [pid for pid in everyone if (process_start_time(pid) or now) < now]
        inside = network_namespaces(old) & namespaces
        if not living and not inside:
            return
        assert time.monotonic() < deadline, f"left behind: processes {living}, namespaces {inside}"
        time.sleep(0.02)


def _zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("phase", PHASES)
def test_kill_minus_nine_leaves_nothing(tmp_path: Path, phase: str) -> None:
    before = machine()
    with started(tmp_path) as process:
        await_line(process, phase)
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.kill()
        process.wait()
        await_gone(family, namespaces)
    assert machine() == before


@pytest.mark.parametrize("victim", ["spawner", "probe", "supervisor", "init"])
def test_whichever_process_is_killed(tmp_path: Path, victim: str) -> None:
    """simctl notices, says so in one message, and takes the rest down."""
    with started(tmp_path) as process:
        await_line(process, "idle:")
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        os.kill(find(process.pid, victim), signal.SIGKILL)
        _, stderr = process.communicate(timeout=60)
        await_gone(family, namespaces)
    assert process.returncode in (3, 4), stderr
    assert "Traceback" not in stderr


def find(simctl: int, victim: str) -> int:
    """Spawner and probe are children of simctl; a supervisor is the spawner's child, init the supervisor's."""

    def children(pid: int) -> list[int]:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def runs(pid: int, module: str) -> bool:
        return module in Path(f"/proc/{pid}/cmdline").read_text()

    kids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == simctl]
    if victim == "probe":
        return next(pid for pid in kids if runs(pid, "observe.probe"))
    spawner = next(pid for pid in kids if runs(pid, "netns.spawner"))
    if victim == "spawner":
        return spawner
    supervisor = children(spawner)[0]
    return supervisor if victim == "supervisor" else children(supervisor)[0]


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("phase", PHASES)
def test_interrupted_in_every_phase(tmp_path: Path, phase: str, number: int) -> None:
    before = machine()
    with started(tmp_path) as process:
        await_line(process, phase)
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        await_gone(family, namespaces)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted" in stderr
    assert stdout == ""
    assert machine() == before


def test_ctrl_c_twice_tears_down_once(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        await_line(process, "idle:")
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        await_gone(family, namespaces)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    (run,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["outcome"] for event in events if event["ev"] == "end"] == ["interrupted"]


def test_an_interrupted_run_can_be_judged_and_is_unknown(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        await_line(process, "idle:")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    (run,) = (tmp_path / "runs").iterdir()
    verify = subprocess.run(
        [sys.executable, "-m", "orchestrator", "verify", str(run)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert verify.returncode == 4, verify.stderr + verify.stdout
    assert verify.stdout.startswith("UNKNOWN")
    assert re.search("^pass +five requests share one connection", verify.stdout, re.MULTILINE)
    assert "still open at the end" in verify.stdout, "what the teardown closed is no part of the story"
