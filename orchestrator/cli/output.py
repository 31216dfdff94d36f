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

if TYPE_CHECKING:
    from orchestrator.analysis.compare.matrix import Matrix
    from orchestrator.analysis.compare.seeds import SeedVariation
    from orchestrator.analysis.report import NotRun, RunReport

FORMATS = ("text", "json", "junit")
FormatOption = typer.Option("text", "--format", "-f", help="text, json or junit; on stdout.")


class Output:
    """Where and how results are printed."""

    def __init__(self, form: str, *, verbose: bool = False) -> None:
        if form not in FORMATS:
            raise InputError(f"unknown format {form!r}", hint=f"one of {', '.join(FORMATS)}")
        self._form = form
        self._verbose = verbose

    def print_reports(self, reports: list[RunReport], not_run: Sequence[NotRun] = (), *, many: bool) -> None:
        """Several reports end with a summary; as JSON they are one list, without those that could not be run."""
        if self._form == "junit":
            from orchestrator.report.junit import render

            sys.stdout.write(render(reports, not_run))
        elif self._form == "json":
            self._print_json(reports, many=many)
        else:
            self._print_text(reports, not_run, many=many)

    @property
    def tabular(self) -> bool:
        """Whether the runs of a matrix stand in one table. JUnit knows suites only."""
        return self._form != "junit"

    def print_results(self, reports: list[RunReport], not_run: Sequence[NotRun], matrices: Sequence[Matrix]) -> None:
        """Reports, and a table for each matrix; as JSON one document, or a list when there are several."""
        alone, tables = len(reports) + len(not_run), len(matrices)
        if self._form == "json":
            import json

            from orchestrator.analysis.compare.matrix import to_json
            from orchestrator.report.json.run import render as render_json

            documents = [render_json(report) for report in reports]
            documents += [json.dumps(to_json(matrix), indent=1, allow_nan=False) for matrix in matrices]
            print("[" + ",\n".join(documents) + "]" if alone + tables > 1 else "".join(documents))
            return
        if alone:
            self._print_text(reports, not_run, many=alone > 1)
        from rich.console import Console

        from orchestrator.report.text.matrix import render

        console = Console(width=console_width(), highlight=False)
        for place, matrix in enumerate(matrices):
            if alone or place:
                console.print()
            render(matrix, console)

    def print_variations(self, variations: Sequence[SeedVariation]) -> None:
        """What the runs with different seeds say of each scenario; as JSON a list."""
        import json

        from rich.console import Console

        from orchestrator.analysis.compare.seeds import to_json
        from orchestrator.report.text.seeds import render

        if self._form == "json":
            print(json.dumps([to_json(variation) for variation in variations], indent=1, allow_nan=False))
            return
        console = Console(width=console_width(), highlight=False)
        for variation in variations:
            render(variation, console)

    @staticmethod
    def check_writable(path: Path) -> None:
        """Before a run of minutes, not after it."""
        if not path.parent.is_dir():
            raise EnvironmentFailure(f"cannot write {path}: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise EnvironmentFailure(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'not permitted'}")

    def write_junit(self, reports: list[RunReport], not_run: Sequence[NotRun], path: Path) -> None:
        from orchestrator.report.junit import render

        try:
            path.write_text(render(reports, not_run))
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {path}: {error.strerror}") from None

    @staticmethod
    def exit_code(reports: list[RunReport]) -> ExitCode:
        from orchestrator.analysis.report import EXIT_CODES
        from orchestrator.recording.verdict import Outcome

        return EXIT_CODES[Outcome.worst([report.outcome for report in reports])]

    def _print_json(self, reports: list[RunReport], *, many: bool) -> None:
        from orchestrator.report.json.run import render

        documents = [render(report) for report in reports]
        print("[" + ",\n".join(documents) + "]" if many else "".join(documents))

    def _print_text(self, reports: list[RunReport], not_run: Sequence[NotRun], *, many: bool) -> None:
        from rich.console import Console

        from orchestrator.report.text.run import render, render_summary

        console = Console(width=console_width(), highlight=False)
        for report in reports:
            render(report, console, verbose=self._verbose)
            if many:
                console.print()
        if many:
            render_summary(reports, console, not_run)
