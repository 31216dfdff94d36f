"""`make torture`: the attacks, with seeds, and figures at the end. Exit status 1: something was not borne.

make torture KINDS=files SEED=7 COUNT=10000
make torture KINDS=kill RUNTIME=vm COUNT=100
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.torture import hostile, hostilenodes, killing, mutants

KINDS = ("nodes", "kill", "files", "recordings")
COUNTS = {"kill": 100, "files": 10_000, "recordings": 500, "nodes": len(hostile.MODES)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kinds", default=",".join(KINDS), help="which attacks, with commas")
    parser.add_argument("--runtime", default="netns", choices=("netns", "docker", "vm"), help="of nodes and kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="how many of each kind; by default 100, 10000, 500, all modes")
    parser.add_argument("--recording", type=Path, help="folder of a run, for recordings; without: one is made")
    given = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        for kind in given.kinds.split(","):
            wrong: Counter[str] = Counter()
            tried = 0
            count = given.count or COUNTS[kind]
            for tried, found in enumerate(_ATTACKS[kind](given, count, Path(folder, kind)), 1):
                if found:
                    wrong[found] += 1
                    print(f"{kind} {tried} (seed {given.seed}): {found}", flush=True)
            print(f"{kind}: {tried} tried, {wrong.total()} bad", flush=True)
            bad += wrong.total()
    return 1 if bad else 0


def _nodes(given: argparse.Namespace, count: int, folder: Path) -> Iterator[str]:
    for mode in hostile.MODES[:count]:
        found = hostilenodes.play(mode, given.runtime, folder / mode)
        yield f"{mode}: {', '.join(found.wrong)}" if found.wrong else ""


def _kill(given: argparse.Namespace, count: int, folder: Path) -> Iterator[str]:
    chance = random.Random(given.seed)
    victims = killing.VICTIMS[given.runtime]
    hit: Counter[str] = Counter()
    longest = 0.0
    for number in range(count):
        victim = victims[number % len(victims)]
        killed = killing.kill_one(given.runtime, victim, folder / str(number), chance)
        hit[victim] += killed.hit
        longest = max(longest, killed.gone)
        yield f"{victim}: {', '.join(killed.wrong)}" if killed.wrong else ""
    shown = ", ".join(f"{victim} {times}" for victim, times in hit.items())
    print(f"kill: killed while running: {shown}; longest until all was gone {longest:.2f} s")


def _files(given: argparse.Namespace, count: int, folder: Path) -> Iterator[str]:
    chance = random.Random(given.seed)
    scenarios = mutants.exhibits()
    for _ in range(count):
        yield mutants.try_files(chance.choice(scenarios), folder, chance) or ""


def _recordings(given: argparse.Namespace, count: int, folder: Path) -> Iterator[str]:
    chance = random.Random(given.seed)
    run = given.recording or mutants.a_recording(folder / "whole")
    for _ in range(count):
        yield mutants.try_recording(run, folder / "mutant", chance) or ""


_ATTACKS = {"nodes": _nodes, "kill": _kill, "files": _files, "recordings": _recordings}

if __name__ == "__main__":
    sys.exit(main())
