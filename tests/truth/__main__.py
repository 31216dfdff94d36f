"""`python -m tests.truth`, as `make truth` calls it: runs random programs and compares. Exit status 1: it found one."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from orchestrator.exitcodes import ExitCode
from orchestrator.system import interrupts
from tests.truth.campaign import Campaign
from tests.truth.findings import Comparison
from tests.truth.lab import Lab, examine, simctl
from tests.truth.programs import FEATURES


def main() -> int:
    given = _arguments()
    if given.recorded:
        return _recorded(given.recorded)
    lab = Lab(given.output / "runs", given.runtime, given.seed, given.jobs, given.lock)
    campaign = Campaign(lab, given.output, without=frozenset(filter(None, given.without.split(","))))
    begun = time.monotonic()
    until = begun + 60 * given.minutes if given.minutes else float("inf")
    interrupts.install()
    interrupted = False
    try:
        campaign.run(_seeds(given.seeds), until=until, at_a_time=given.batch)
        if given.shrink:
            campaign.shrink_all(list(campaign.by_kind), until=until + 60 * given.shrink)
    except KeyboardInterrupt:
        interrupted = True
    print(f"{time.monotonic() - begun:.0f} s", *campaign.broken, *campaign.summary(), sep="\n")
    if interrupted:
        return ExitCode.INTERRUPTED
    return 1 if campaign.total.findings else 0


def _recorded(folders: Iterable[Path]) -> int:
    """Recordings of whatever scenarios, with captures."""
    total = Comparison()
    for folder in folders:
        done = simctl("report", str(folder), "--format", "json")
        if not done.stdout:
            print(f"{folder.name}: no report: {done.stderr.strip()}")
            continue
        report = json.loads(done.stdout)
        found = examine(report, folder)
        print(f"{folder.name}: {len(found.findings)} findings")
        for line in [*map(str, found.findings), *(f"the model cannot explain {text}" for text in found.unexplained)]:
            print(f"    {line}")
        total.merge(found)
    print(*(f"{count:>8}  {what}" for what, count in sorted(total.figures.items())), sep="\n")
    return 1 if total.findings else 0


def _seeds(text: str) -> Iterable[int]:
    """`7`, `1-20`, or `100-` for all from there on."""
    first, dash, last = text.partition("-")
    if not dash:
        return [int(first)]
    return range(int(first), int(last) + 1) if last else itertools.count(int(first))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--seeds", default="1-16", help="7, 1-20 or 100- (until the minutes are over)")
    parser.add_argument("--runtime", default="netns", choices=("netns", "vm"))
    parser.add_argument("--seed", type=int, help="the virtual machine's seed, as of simctl run")
    parser.add_argument("--minutes", type=float, default=0.0, help="no new program is begun after that; 0: no limit")
    parser.add_argument("--jobs", type=int, default=4, help="labs at a time")
    parser.add_argument("--batch", type=int, default=8, help="programs of one command")
    parser.add_argument("--without", default="", help=f"features to leave out, with commas: {', '.join(FEATURES)}")
    parser.add_argument("--shrink", type=float, default=0.0, help="minutes for making what was found smaller")
    parser.add_argument("--output", type=Path, default=Path("runs/truth"), help="folder for recordings and cases")
    parser.add_argument("--lock", type=Path, help="file to lock while labs are up")
    parser.add_argument("--recorded", type=Path, nargs="+", help="compare these recorded runs instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
