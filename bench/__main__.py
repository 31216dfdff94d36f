"""Runs the benchmarks and prints one table. Exit status 0 whatever the ratios are: they are for people to read."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import labs, observing, overhead, sampling
from bench.measure import Comparison
from orchestrator.runtimes.docker import engine_answers

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


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]}; there are: {', '.join(BENCHMARKS)}")
    table = Table("what", "simctl", "peer", "peer's", "ratio", "goal", title="medians of pairs in one run, seconds")
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            if reason := _missing(name):
                table.add_row(name, "-", "-", "-", "-", f"not run: {reason}")
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            result = BENCHMARKS[name](Path(scratch))
            verdict = "met" if result.met else "MISSED"
            table.add_row(
                result.name,
                f"{result.ours:.3f}",
                result.peer,
                f"{result.theirs:.3f}",
                f"{result.ratio:.2f}",
                f"{result.goal:g} {verdict}",
            )
    Console(width=110).print(table)


def _missing(name: str) -> str | None:
    """Why a benchmark cannot run here."""
    if "mininet" in name and shutil.which("mn") is None:
        return "Mininet is not installed (apt-get install mininet)"
    if "compose" in name and shutil.which("docker-compose") is None:
        return "docker-compose is not installed (apt-get install docker-compose)"
    if "compose" in name and not engine_answers()[0]:
        return "no Docker engine answers"
    return None


if __name__ == "__main__":
    main()
