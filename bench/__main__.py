"""Runs the benchmarks and prints their tables. Exit status 0 whatever the ratios are: they are for people to read."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import judging, labs, observing, overhead, sampling, virtual
from bench.measure import SMALLEST, Comparison
from orchestrator.engine.client import engine_answers
from orchestrator.exitcodes import ExitCode
from orchestrator.system import interrupts
from orchestrator.vm.machine import QEMU

Benchmark = Callable[[Path, bool], Comparison]
"""Takes a folder for its files, and whether the smallest form will do: it works, and nobody reads the numbers."""


def _rounds(smallest: bool, rounds: int = 3) -> int:
    return SMALLEST if smallest else rounds


def _mininet(nodes: int, goal: float) -> Benchmark:
    return lambda folder, smallest: labs.against_mininet(folder, 2 if smallest else nodes, goal, _rounds(smallest))


def _compose(nodes: int, runtime: str) -> Benchmark:
    return lambda folder, smallest: labs.against_docker_compose(
        folder, 2 if smallest else nodes, runtime, 0.7, _rounds(smallest)
    )


def _judging(verb: list[str], goal: float) -> Benchmark:
    return lambda folder, smallest: judging.against_json(folder, 5 if smallest else 2500, verb, goal, _rounds(smallest))


BENCHMARKS: dict[str, Benchmark] = {
    "overhead": lambda folder, smallest: overhead.of_scenario("session-close", "netns", _rounds(smallest, 5)),
    "sample": lambda folder, smallest: sampling.against_ss(500, SMALLEST) if smallest else sampling.against_ss(),
    "sample-100": lambda folder, smallest: observing.sampling_share(2, 0.5) if smallest else observing.sampling_share(),
    "churn": lambda folder, smallest: observing.churn_cost(20, SMALLEST) if smallest else observing.churn_cost(),
    "verify": _judging(["verify"], 5.0),
    "report-json": _judging(["report", "--format", "json"], 9.0),
    "show": _judging(["show", "--conn", "c5"], 5.0),
    "mininet-2": _mininet(2, 1.0),
    "mininet-10": _mininet(10, 0.5),
    "mininet-100": _mininet(100, 0.2),
    "netns-compose-2": _compose(2, "netns"),
    "netns-compose-10": _compose(10, "netns"),
    "docker-compose-2": _compose(2, "docker"),
    "docker-compose-10": _compose(10, "docker"),
}

TABLES: dict[str, Callable[[Path, bool], Table]] = {
    "vm": lambda folder, smallest: (
        virtual.table(folder, virtual.SMALLEST_STORIES, SMALLEST) if smallest else virtual.table(folder)
    )
}
"""Benchmarks that fill a table of their own."""


def main() -> None:
    """`python -m bench [--smallest] [NAME ...]`."""
    words = sys.argv[1:]
    smallest = "--smallest" in words
    known = [*BENCHMARKS, *TABLES]
    chosen = [word for word in words if word != "--smallest"] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]}; there are: {', '.join(known)}")
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as scratch:
        if compared := [name for name in chosen if name in BENCHMARKS]:
            console.print(_comparisons(compared, Path(scratch), smallest))
        for name in chosen:
            if name in TABLES:
                reason = _missing(name)
                console.print(f"{name}: not run: {reason}" if reason else TABLES[name](Path(scratch), smallest))


def _comparisons(chosen: list[str], scratch: Path, smallest: bool) -> Table:
    table = Table("what", "simctl", "peer", "peer's", "ratio", "goal", title="medians of pairs in one run, seconds")
    for name in chosen:
        if reason := _missing(name):
            table.add_row(name, "-", "-", "-", "-", f"not run: {reason}")
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        result = BENCHMARKS[name](scratch, smallest)
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
    interrupts.install()  # `make bench &` ignores Ctrl-C, and whatever it starts would
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: no figures of what was not finished", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
