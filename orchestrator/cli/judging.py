"""`simctl verify` and `simctl report`: what can be done with a stored run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from orchestrator.cli.common import verb
from orchestrator.cli.output import FormatOption, Output

_RUN = typer.Argument(..., metavar="RUN ...", help="Folder of a run.")


def register(app: typer.Typer) -> None:
    app.command("verify")(verify)
    app.command("report")(report)


@verb
def verify(
    runs: list[Path] = _RUN,
    format_: str = FormatOption,
    verbose: bool = typer.Option(False, "--verbose", "-v"),
) -> None:
    """Judge stored runs again by the scenario in their folder, and print the report. Exit status as `run`."""
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run import judge_folder

    out = Output(format_, verbose=verbose)
    reports = [judge_folder(RunFolder.open(path)) for path in runs]
    out.print_reports(reports, many=len(runs) > 1)
    sys.exit(out.exit_code(reports))


@verb
def report(
    runs: list[Path] = _RUN,
    format_: str = FormatOption,
    verbose: bool = typer.Option(False, "--verbose", "-v"),
) -> None:
    """Print stored runs again with the verdicts as they were stored."""
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run import stored_report

    out = Output(format_, verbose=verbose)
    out.print_reports([stored_report(RunFolder.open(path)) for path in runs], many=len(runs) > 1)
