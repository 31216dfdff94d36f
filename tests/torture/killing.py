"""kill -9 of each kind of process of a run, at a random moment: nothing may be left of it, and the next run must do."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.system.linux import descendants, process_start_time

SCENARIO = """
name: short
topology: {compose}/client-server.yaml
steps:
  - {{request: {{from: client, url: "http://server:8080/", session: pool, count: 60, interval: 50ms}}}}
"""

VICTIMS = {
    "netns": ("simctl", "probe", "spawner", "init", "program"),
    "vm": ("simctl", "qemu"),
    "docker": ("simctl", "probe"),
}
GONE_WITHIN = 15.0
"""Seconds until everything of the run is gone."""
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Killed:
    victim: str
    hit: bool
    """Whether it was still running."""
    status: int
    gone: float
    """Seconds until all that it had started was gone."""
    wrong: tuple[str, ...]


def kill_one(runtime: str, victim: str, folder: Path, chance: random.Random, *, within: float = 3.0) -> Killed:
    """Start a run, kill one process of it after at most `within` seconds, and look at what is left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "short.yaml").write_text(SCENARIO.format(compose=Path(__file__).parents[2] / "compose"))
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("simctl"), "run", "short.yaml", "-r", runtime, "-o", "runs"],
            cwd=folder,
            stdout=said,
            stderr=said,
        )
        pid = _found(process, victim, time.monotonic() + 20)
        time.sleep(chance.uniform(0, within))
        started = _alive([process.pid, *descendants(process.pid)])
        hit = False
        if pid is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit = True
        status = process.wait(PATIENCE)
        begun = time.monotonic()
        while (left := _still(started)) and time.monotonic() < begun + GONE_WITHIN:
            time.sleep(0.05)
        gone = time.monotonic() - begun
        said.seek(0)
        text = said.read()
    wrong = [f"a process is left: {pid}" for pid in left]
    if "Traceback" in text:
        wrong.append("a traceback")
    allowed = (0, 1, 3) if victim != "simctl" else (-9, 0)
    if status not in allowed:
        wrong.append(f"exit status {status}")
    if victim in ("simctl", "qemu"):  # an instance whose probe was killed stays until the next simctl
        wrong += [f"a trace is left: {name}" for name in traces(started)]
    return Killed(victim, hit, status, gone, tuple(wrong))


def traces(started: Iterable[int]) -> set[str]:
    """Instances of the kernel's trace that those processes made, and records of them: `simctl-PID-START`."""
    folders = ("/sys/kernel/tracing/instances", "/run/simctl/trace")
    names = {path.name for folder in folders if Path(folder).is_dir() for path in Path(folder).iterdir()}
    return {name for name in names for pid in started if name.startswith(f"simctl-{pid}-")}


def _found(process: subprocess.Popen[bytes], victim: str, until: float) -> int | None:
    """The pid of a process of that class, as soon as there is one."""
    if victim == "simctl":
        return process.pid
    while process.poll() is None and time.monotonic() < until:
        for pid in descendants(process.pid):
            if _class(pid) == victim:
                return pid
        time.sleep(0.005)
    return None


def _class(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        inside = len(Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].splitlines()[0].split())
    except (OSError, IndexError):
        return ""
    if "qemu" in command:
        return "qemu"
    if inside > 1:
        return "init" if _is_first(pid) else "program"
    return "probe" if "observe.probe" in command else "spawner" if "netns.spawner" in command else ""


def _is_first(pid: int) -> bool:
    return Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()[-1] == "1"


def _alive(pids: Iterable[int]) -> dict[int, int]:
    """Pid -> when it started: the two name a process for ever."""
    return {pid: started for pid in pids if (started := process_start_time(pid)) is not None}


def _still(known: Mapping[int, int]) -> list[int]:
    return [pid for pid, started in known.items() if process_start_time(pid) == started]
