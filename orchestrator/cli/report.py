"""`simctl report`: print a stored run again."""

from __future__ import annotations

from pathlib import Path

import typer

from orchestrator.cli.common import RunsArgument, add
from orchestrator.cli.output import FormatOption, Output


def register(app: typer.Typer) -> None:
    add(app, "report", report)


def report(
    runs: list[Path] = RunsArgument,
    format_: str = FormatOption,
    verbose: bool = typer.Option(False, "--verbose", "-v"),
) -> None:
    """Print stored runs again with the verdicts as they were stored."""
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run.judge import stored_report

    out = Output(format_, verbose=verbose)
    out.print_reports([stored_report(RunFolder.open(path)) for path in runs], many=len(runs) > 1)
