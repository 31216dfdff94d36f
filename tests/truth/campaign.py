"""Many programs, one after the other: what was compared, what was found, and the smallest program of each kind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from tests.truth.findings import Comparison, Finding
from tests.truth.lab import Lab, examine
from tests.truth.programs import Program, generate
from tests.truth.render import write
from tests.truth.shrink import shrink


@dataclass(slots=True)
class Campaign:
    """`where`: a folder for cases and recordings. Recordings without a finding are removed."""

    lab: Lab
    where: Path
    without: Collection[str] = ()
    ladders: int = 4
    """Connections of a run that are drawn: each is a process of its own."""
    total: Comparison = field(default_factory=Comparison)
    broken: list[str] = field(default_factory=list)
    """Programs that could not be run, or whose recording the model could not read."""
    by_kind: dict[str, tuple[Program, Finding]] = field(default_factory=dict)

    def run(self, seeds: Iterable[int], *, until: float = float("inf"), at_a_time: int = 8) -> None:
        """Until the seeds or the time are used up; `until` is by time.monotonic()."""
        pending = iter(seeds)
        while time.monotonic() < until and (group := list(islice(pending, at_a_time))):
            programs = [generate(seed, without=self.without) for seed in group]
            for program, found in zip(programs, self._examined(programs), strict=True):
                if found is not None:
                    self._take(program, found)

    def _take(self, program: Program, found: Comparison) -> None:
        self.total.merge(found)
        self.total.figures["programs"] += 1
        for finding in found.findings:
            print(f"seed {program['seed']}: {finding}", flush=True)
            known = self.by_kind.get(finding.kind)
            if known is None or _size(program) < _size(known[0]):
                self.by_kind[finding.kind] = program, finding
        for text in found.unexplained:
            print(f"seed {program['seed']}: the model cannot explain {text}", flush=True)

    def _examined(self, programs: Sequence[Program]) -> list[Comparison | None]:
        scenarios = [write(program, self.where / "programs" / program_name(program)) for program in programs]
        reports = self.lab.run(scenarios)
        found: list[Comparison | None] = []
        for program, scenario in zip(programs, scenarios, strict=True):
            report = reports[scenario]
            if isinstance(report, str):
                self.broken.append(f"{program_name(program)}: {report}")
                found.append(None)
                continue
            folder = Path(report["folder"])
            result = examine(report, folder, seed=program["seed"], ladders=self.ladders)
            found.append(result)
            given_up = [note for note in report["notes"] if "the trace shows" in note or "the trace lost" in note]
            for note in given_up:
                print(f"seed {program['seed']}: the trace was given up: {note}", flush=True)
            if not result.findings and not result.unexplained and not given_up:
                shutil.rmtree(folder)
        return found

    def shrink_all(self, kinds: Iterable[str], *, until: float = float("inf")) -> None:
        """Writes the smallest program of each kind into the folder `found`."""
        for kind in kinds:
            program, finding = self.by_kind[kind]
            if time.monotonic() < until:
                program = shrink(program, partial(self._show, kind), at_a_time=2 * self.lab.jobs)
            self._write(kind, program, finding)

    def _show(self, kind: str, group: Sequence[Program]) -> list[bool]:
        named = [{**program, "name": f"{program['seed']}-{number}"} for number, program in enumerate(group)]
        return [found is not None and kind in found.kinds for found in self._examined(named)]

    def _write(self, kind: str, program: Program, finding: Finding) -> None:
        folder = self.where / "found" / "".join(c if c.isalnum() else "-" for c in kind.lower())
        write({**program, "name": folder.name}, folder)
        (folder / "FINDING.txt").write_text(f"seed {program['seed']}\n{finding}\n", encoding="utf-8")

    def summary(self) -> list[str]:
        """Figures, then findings by kind."""
        lines = [f"{count:>8}  {what}" for what, count in sorted(self.total.figures.items())]
        lines.append(f"{len(self.total.unexplained):>8}  ends the model cannot explain")
        lines.append(f"{len(self.broken):>8}  programs that could not be run")
        lines += [f"{count:>8}  finding: {kind}" for kind, count in self.total.kinds.items()]
        return lines if self.total.findings else [*lines, "       0  findings"]


def program_name(program: Program) -> str:
    return str(program.get("name", program["seed"]))


def _size(program: Program) -> int:
    return len(str(program["steps"])) + len(str(program["nodes"]))
