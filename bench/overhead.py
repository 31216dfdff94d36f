"""What simctl adds to a scenario: from the start of the interpreter to its exit, less the scenario's own waits."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

from bench.measure import SMALLEST, Comparison, seconds
from orchestrator.scenario.loader import find_scenario, load_scenario

GOAL = 1.0
"""Seconds, for two nodes. There is no peer that does this, so the bound is absolute."""


def of_scenario(name: str, runtime: str, rounds: int = 5) -> Comparison:
    """Wall time of `simctl run NAME` less its `wait` steps."""
    (path,) = find_scenario(name)
    waits = sum(step.action.seconds for step in load_scenario(path).scenario.steps)

    def run() -> None:
        with tempfile.TemporaryDirectory() as output:
            argv = [sys.executable, "-m", "orchestrator", "run", name, "--runtime", runtime, "-q", "-o", output]
            subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)

    if rounds > SMALLEST:
        run()  # a warm-up
    added = statistics.median(seconds(run) - waits for _ in range(rounds))
    return Comparison(f"what simctl adds to {name} ({runtime})", added, "bound", GOAL, added / GOAL, 1.0, rounds)
