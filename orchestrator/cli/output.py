"""Prints reports in the form that was asked for, and maps outcomes to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import console_width
from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.exitcodes import ExitCode
from orchestrator.report.forms import registry
from orchestrator.report.forms.registry import FORMS

if TYPE_CHECKING:
    from orchestrator.analysis.compare.matrix import Matrix
    from orchestrator.analysis.compare.seeds import SeedVariation
    from orchestrator.analysis.report import NotRun, RunReport
    from orchestrator.report.forms.form import Form, Page

_NAMES = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
FormatOption = typer.Option(FORMS[0], "--format", "-f", metavar="FORM", help=f"{_NAMES}; on stdout.")


class Output:
    """Where and how results are printed."""

    def __init__(self, form: str, *, verbose: bool = False) -> None:
        if form not in FORMS:
            raise InputError(f"unknown format {form!r}", hint=f"one of {', '.join(FORMS)}")
        self._name = form
        self._verbose = verbose

    @property
    def _form(self) -> Form:
        return registry.form(self._name)

    def print_reports(self, reports: list[RunReport], not_run: Sequence[NotRun] = (), *, many: bool) -> None:
        """The reports, of which there can be several where `many` is set."""
        from orchestrator.report.forms.form import Results

        self._form.write(Results(reports, not_run, many=many), self._page)

    @property
    def tabular(self) -> bool:
        """Whether the runs of a matrix stand in one table."""
        return self._form.tables

    def print_results(self, reports: list[RunReport], not_run: Sequence[NotRun], matrices: Sequence[Matrix]) -> None:
        """Reports, and a table for each matrix."""
        from orchestrator.report.forms.form import Results

        many = len(reports) + len(not_run) + len(matrices) > 1
        self._form.write(Results(reports, not_run, matrices, many=many), self._page)

    def print_variations(self, variations: Sequence[SeedVariation]) -> None:
        """What the runs with different seeds show of each scenario."""
        self._form.write_variations(variations, self._page)

    @property
    def _page(self) -> Page:
        from orchestrator.report.forms.form import Page

        return Page(sys.stdout, console_width(), self._verbose)

    @staticmethod
    def check_writable(path: Path) -> None:
        """Before a run of minutes, not after it."""
        if not path.parent.is_dir():
            raise EnvironmentFailure(f"cannot write {path}: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise EnvironmentFailure(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'not permitted'}")

    def write_junit(self, reports: list[RunReport], not_run: Sequence[NotRun], path: Path) -> None:
        from orchestrator.report.forms.junit import render

        try:
            path.write_text(render(reports, not_run))
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {path}: {error.strerror}") from None

    @staticmethod
    def exit_code(reports: list[RunReport]) -> ExitCode:
        from orchestrator.analysis.report import EXIT_CODES
        from orchestrator.recording.verdict import Outcome

        return EXIT_CODES[Outcome.worst([report.outcome for report in reports])]
