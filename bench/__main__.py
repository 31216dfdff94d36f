"""Runs the benchmarks and prints their tables. Exit status 0 whatever the ratios are: they are for people to read."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import labs, observing, overhead, sampling, virtual
from bench.measure import Comparison
from orchestrator.engine.client import engine_answers
from orchestrator.vm.machine import QEMU

Benchmark = Callable[[Path], Comparison]

BENCHMARKS: dict[str, Benchmark] = {
    "overhead": lambda folder: overhead.of_scenario("session-close", "netns"),
    "sample": lambda folder: sampling.against_ss(),
    "sample-100": lambda folder: observing.sampling_share(),
    "churn": lambda folder: observing.churn_cost(),
    "mininet-2": lambda folder: labs.against_mininet(folder, 2, goal=1.0),
    "mininet-10": lambda folder: labs.against_mininet(folder, 10, goal=0.5),
    "mininet-100": lambda folder: labs.against_mininet(folder, 100, goal=0.2),
    "netns-compose-2": lambda folder: labs.against_docker_compose(folder, 2, "netns", goal=0.7),
    "netns-compose-10": lambda folder: labs.against_docker_compose(folder, 10, "netns", goal=0.7),
    "docker-compose-2": lambda folder: labs.against_docker_compose(folder, 2, "docker", goal=0.7),
    "docker-compose-10": lambda folder: labs.against_docker_compose(folder, 10, "docker", goal=0.7),
}

TABLES: dict[str, Callable[[Path], Table]] = {"vm": virtual.table}
"""Benchmarks that fill a table of their own."""


def main() -> None:
    known = [*BENCHMARKS, *TABLES]
    chosen = sys.argv[1:] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]}; there are: {', '.join(known)}")
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as scratch:
        if compared := [name for name in chosen if name in BENCHMARKS]:
            console.print(_comparisons(compared, Path(scratch)))
        for name in chosen:
            if name in TABLES:
                reason = _missing(name)
                console.print(f"{name}: not run: {reason}" if reason else TABLES[name](Path(scratch)))


def _comparisons(chosen: list[str], scratch: Path) -> Table:
    table = Table("what", "simctl", "peer", "peer's", "ratio", "goal", title="medians of pairs in one run, seconds")
    for name in chosen:
        if reason := _missing(name):
            table.add_row(name, "-", "-", "-", "-", f"not run: {reason}")
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        result = BENCHMARKS[name](scratch)
        verdict = "met" if result.met else "MISSED"
        table.add_row(
            result.name,
            f"{result.ours:.3f}",
            result.peer,
            f"{result.theirs:.3f}",
            f"{result.ratio:.2f}",
            f"{result.goal:g} {verdict}",
        )
    return table


def _missing(name: str) -> str | None:
    """Why a benchmark cannot run here."""
    if "mininet" in name and shutil.which("mn") is None:
        return "Mininet is not installed (apt-get install mininet)"
    if "compose" in name and shutil.which("docker-compose") is None:
        return "docker-compose is not installed (apt-get install docker-compose)"
    if "compose" in name and not engine_answers()[0]:
        return "no Docker engine answers"
    if name == "vm" and shutil.which(QEMU) is None:
        return f"{QEMU} is not installed (apt-get install qemu-system-x86)"
    return None


if __name__ == "__main__":
    main()
