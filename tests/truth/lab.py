"""Runs programs by the real command, several at a time, and examines each recording."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.truth.compare import compare
from tests.truth.expectations import compare_verdicts, expectations
from tests.truth.findings import Comparison
from tests.truth.ladders import compare_ladder
from tests.truth.model import Truth, read_truth

_PATIENCE = 900.0


@dataclass(frozen=True, slots=True)
class Lab:
    """How programs are run. `lock`: a file that is locked while a lab is up, where others use the machine too."""

    output: Path
    runtime: str = "netns"
    seed: int | None = None
    jobs: int = 4
    lock: Path | None = None

    def run(self, scenarios: Sequence[Path]) -> dict[Path, Mapping[str, Any] | str]:
        """Scenario -> its report, or why there is none."""
        command = ["run", *map(str, scenarios), "--runtime", self.runtime, "--output", str(self.output), "--quiet"]
        command += ["--allow-exec", "--capture", "--format", "json", "--jobs", str(self.jobs)]
        if self.seed is not None:
            command += ["--seed", str(self.seed)]
        with self._locked():
            done = simctl(*command)
        reports = _documents(done.stdout)
        by_name = {report["scenario"]: report for report in reports}
        found: dict[Path, Mapping[str, Any] | str] = {}
        for scenario in scenarios:
            name = yaml.safe_load(scenario.read_text(encoding="utf-8"))["name"]
            report = by_name.get(name)
            if report is None or report["trouble"] or not report["folder"]:
                found[scenario] = report["trouble"] if report else done.stderr[-600:]
            else:
                found[scenario] = report
        return found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self.lock is None:
            yield
            return
        with self.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def simctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a process of its own."""
    command = [sys.executable, "-m", "orchestrator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)


def _documents(text: str) -> list[Mapping[str, Any]]:
    if not text.strip():
        return []
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


def examine(report: Mapping[str, Any], folder: Path, *, seed: int = 0, ladders: int = 4) -> Comparison:
    """One recorded run: its report, its verdicts on expectations that are true or false, its ladders."""
    truth = read_truth(folder)
    found = compare(report, truth)
    _verify(folder, truth, seed, found)
    telling = {finding.where.partition(" ")[0] for finding in found.findings}
    names = [f"c{number}" for number in range(1, len(report["connections"]) + 1)]
    for name in sorted(names, key=lambda name: name not in telling)[:ladders]:
        done = simctl("show", str(folder), "--conn", name, "--format", "json")
        if done.returncode != 0:
            found.add("show fails", name, f"exit status {done.returncode}", done.stderr[-300:], 0.0)
            continue
        compare_ladder(json.loads(done.stdout), truth, found)
    return found


def _verify(folder: Path, truth: Truth, seed: int, found: Comparison) -> None:
    asked = expectations(truth, seed)
    if not asked:
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, folder.name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("captures"))
        scenario = yaml.safe_load((copy / "scenario.yaml").read_text(encoding="utf-8"))
        scenario["expect"] = [dict(expectation.entry) for expectation in asked]
        (copy / "scenario.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False), encoding="utf-8")
        done = simctl("verify", str(copy), "--format", "json")
        documents = _documents(done.stdout)
        if not documents:
            raise ValueError(f"verify refused {folder}: {done.stderr[-600:]}")
        compare_verdicts(asked, documents[0], found)
