"""What a form of a report is: something that writes the results of a command for one kind of reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TextIO

from orchestrator.analysis.compare.matrix import Matrix
from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.analysis.report import NotRun, RunReport
from orchestrator.text.record import record


@record
class Results:
    """What one command came to."""

    reports: Sequence[RunReport]
    not_run: Sequence[NotRun] = ()
    """What could not be run."""
    matrices: Sequence[Matrix] = ()
    """Always empty for a form without `tables`: it gets their runs among `reports`."""
    many: bool = False
    """Whether the command was for several runs, however many of them there are."""


@record
class Page:
    """Where a form writes."""

    out: TextIO
    width: int | None = None
    """Columns; None: as wide as the terminal."""
    verbose: bool = False


class Form(ABC):
    """Make one in a file of this folder, call it FORM there, and add the file's name to registry.py."""

    tables = False
    """Whether it shows a matrix as one table."""

    @abstractmethod
    def write(self, results: Results, page: Page) -> None:
        """Write the results. What nodes and scenarios said goes through `text.safe.visible`, or is escaped."""

    def write_variations(self, variations: Sequence[SeedVariation], page: Page) -> None:
        """Write what runs with different seeds show of each scenario; unless a form knows better, run by run."""
        reports = [report for variation in variations for report in variation.reports.values()]
        not_run = [
            NotRun(f"{variation.scenario} with seed {seed}", reason)
            for variation in variations
            for seed, reason in variation.not_run.items()
        ]
        self.write(Results(reports, not_run, many=True), page)
