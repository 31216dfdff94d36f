"""All that a report needs of one run: the input of every form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from orchestrator.exitcodes import ExitCode
from orchestrator.history.model import History
from orchestrator.recording.verdict import Outcome, Verdict
from orchestrator.scenario.matrix import label
from orchestrator.text.record import record


@record
class RunReport:
    """One run and its verdicts. `duration` is the run's length in seconds of `clock` (`real` or `virtual`)."""

    folder: Path | None
    scenario: str
    title: str
    runtime: str
    clock: str
    duration: float
    history: History
    verdicts: list[Verdict]
    outcome: Outcome
    notes: tuple[str, ...] = ()
    """What the reader should know besides the notes in the recording."""
    wall: float | None = None
    """How long a run in virtual time really took, s."""
    cell: Mapping[str, str] = field(default_factory=dict)
    """Of a matrix: variable -> its value in this run."""

    @property
    def name(self) -> str:
        """What tells it from other runs of the same scenario: `idle-close [nginx]`."""
        return f"{self.scenario} [{label(self.cell)}]" if self.cell else self.scenario

    def count(self, outcome: Outcome) -> int:
        """How many expectations ended so."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)

    @property
    def all_notes(self) -> list[str]:
        """The recording's notes and those of this report, each once, in order."""
        return list(dict.fromkeys([*self.history.notes, *self.notes]))

    @property
    def ended(self) -> str | None:
        """How the run ended: `done`, `failed`, `interrupted`; None when its recording breaks off."""
        return str(self.history.end.get("outcome", "done")) if self.history.end else None


@record
class NotRun:
    """A scenario of several that could not be run, and why in one line: no report speaks of it, a summary must."""

    name: str
    """Of the scenario; with the values of a matrix where it has one."""
    reason: str


EXIT_CODES = {Outcome.PASS: ExitCode.PASS, Outcome.FAIL: ExitCode.FAIL, Outcome.UNKNOWN: ExitCode.UNKNOWN}
"""What `simctl run` and `simctl verify` exit with for a run of this outcome."""
