"""The runs of a matrix side by side: one row per cell and hop, facts across."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.report import RunReport
from orchestrator.text.record import record


@record
class Broken:
    """A cell that could not be run, and why in one line."""

    cell: Mapping[str, str]
    reason: str


@record
class Matrix:
    """One scenario's runs, in the order of their cells."""

    scenario: str
    title: str
    variables: tuple[str, ...]
    results: tuple[RunReport | Broken, ...]

    @property
    def reports(self) -> list[RunReport]:
        return [result for result in self.results if isinstance(result, RunReport)]

    @property
    def broken(self) -> list[Broken]:
        return [result for result in self.results if isinstance(result, Broken)]
