"""How much virtual time a second of real time buys: every bundled scenario on the runtime vm."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from orchestrator.analysis.report import EXIT_CODES
from orchestrator.recording.folder import RunFolder
from orchestrator.run.judge import stored_report
from orchestrator.scenario.loader import bundled_scenarios

ROUNDS = 3
SMALLEST_STORIES: Mapping[str, Sequence[str]] = {
    "session-close": (),
    "keep-alive-timers": ("--matrix", "SERVER=origin"),
}
"""One scenario, and one of a matrix: what shows that the table can be made."""

TOGETHER: Mapping[str, Sequence[str]] = {"keep-alive-timers": ("--jobs", "2")}
"""Scenarios of many runs, as they are run on two processors."""

_WORSE = ("pass", "unknown", "fail")

GOALS: Mapping[str, float] = {
    "idle-close": 2.5,
    "keep-alive-timers": 25.0,
    "time-wait-ends": 3.0,  # idle-close, with a full TIME_WAIT to its end
    "close-wait-stays": 3.0,
    "keepalive-probes": 10.0,
    "peer-vanishes": 10.0,
}
"""Seconds of real time, from a built snapshot. There is no peer that does this, so the bounds are absolute."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds. `guest`: from the start of QEMU to its end; `command`: of the whole command; both are medians."""

    name: str
    virtual: float
    guest: float
    command: float
    outcome: str


def table(folder: Path, stories: Mapping[str, Sequence[str]] | None = None, rounds: int = ROUNDS) -> Table:
    """Run every bundled scenario, one after the other; or `stories`: name -> what else `simctl run` gets.

    Raises RuntimeError when one cannot be run.
    """
    made = Table(
        "scenario", "virtual", "wall", "virtual / wall", "whole command", "goal",
        title=f"virtual time: medians of {rounds} runs each, seconds",
    )  # fmt: skip
    subprocess.run([sys.executable, "-m", "orchestrator", "vm", "build"], stdout=subprocess.DEVNULL, check=True)
    for name, arguments in (stories or _all()).items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = measure(name, folder, rounds, arguments)
        made.add_row(
            found.name if found.outcome == "pass" else f"{found.name} ({found.outcome})",
            f"{found.virtual:.1f}",
            f"{found.guest:.2f}",
            f"{found.virtual / found.guest:.1f}",
            f"{found.command:.2f}",
            _goal(found),
        )
    return made


def _all() -> dict[str, Sequence[str]]:
    return {name: TOGETHER.get(name, ()) for name in bundled_scenarios()}


def measure(name: str, folder: Path, rounds: int, arguments: Sequence[str]) -> Measured:
    """One bundled scenario, several times. Of a matrix all runs count together, as one command makes them."""
    measured = [_run(name, arguments, Path(tempfile.mkdtemp(dir=folder))) for _ in range(rounds)]
    return Measured(
        name,
        virtual=statistics.median(one.virtual for one in measured),
        guest=statistics.median(one.guest for one in measured),
        command=statistics.median(one.command for one in measured),
        outcome=max((one.outcome for one in measured), key=_WORSE.index),
    )


def _run(name: str, arguments: Sequence[str], folder: Path) -> Measured:
    """One command, measured; what it recorded is read from the folder."""
    argv = [sys.executable, "-m", "orchestrator", "run", name, *arguments, "-r", "vm", "-q", "-o", str(folder)]
    began = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
    took = time.perf_counter() - began
    reports = [stored_report(RunFolder.open(path)) for path in sorted(folder.iterdir())]
    if done.returncode not in EXIT_CODES.values() or not reports:
        raise RuntimeError(f"{name} could not be run: exit status {done.returncode}")
    return Measured(
        name,
        virtual=sum(report.duration for report in reports),
        guest=sum(report.wall or 0.0 for report in reports),
        command=took,
        outcome=max((report.outcome.value for report in reports), key=_WORSE.index),
    )


def _goal(found: Measured) -> str:
    if found.name not in GOALS:
        return ""
    goal = GOALS[found.name]
    return f"{goal:g} {'met' if found.command <= goal and found.outcome == 'pass' else 'MISSED'}"
