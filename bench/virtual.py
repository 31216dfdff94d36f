"""How much virtual time a second of real time buys: every bundled scenario on the runtime vm."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from orchestrator.scenario.loader import bundled_scenarios

ROUNDS = 3

GOALS: Mapping[str, float] = {
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


def table(folder: Path) -> Table:
    """Run them all, one after the other. Raises RuntimeError when one cannot be run."""
    made = Table(
        "scenario", "virtual", "wall", "virtual / wall", "whole command", "goal",
        title=f"virtual time: medians of {ROUNDS} runs each, seconds",
    )  # fmt: skip
    subprocess.run([sys.executable, "-m", "orchestrator", "vm", "build"], stdout=subprocess.DEVNULL, check=True)
    for name in bundled_scenarios():
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = measure(name, folder)
        made.add_row(
            found.name if found.outcome == "pass" else f"{found.name} ({found.outcome})",
            f"{found.virtual:.1f}",
            f"{found.guest:.2f}",
            f"{found.virtual / found.guest:.1f}",
            f"{found.command:.2f}",
            _goal(found),
        )
    return made


def measure(name: str, folder: Path, rounds: int = ROUNDS) -> Measured:
    """One bundled scenario, several times."""
    runs = [_run(name, folder) for _ in range(rounds)]
    reports = [report for report, _ in runs]
    return Measured(
        name,
        virtual=statistics.median(report["duration"] for report in reports),
        guest=statistics.median(report["wall"] for report in reports),
        command=statistics.median(command for _, command in runs),
        outcome=max((report["outcome"] for report in reports), key=["pass", "unknown", "fail"].index),
    )


def _run(name: str, folder: Path) -> tuple[dict[str, Any], float]:
    """The report, and the seconds that the whole command took."""
    argv = [sys.executable, "-m", "orchestrator", "run", name, "-r", "vm", "-q", "-f", "json", "-o", str(folder / "vm")]
    began = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    took = time.perf_counter() - began
    if not done.stdout:
        raise RuntimeError(f"{name} could not be run: exit status {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report, took


def _goal(found: Measured) -> str:
    if found.name not in GOALS:
        return ""
    goal = GOALS[found.name]
    return f"{goal:g} {'met' if found.command <= goal and found.outcome == 'pass' else 'MISSED'}"
