"""`simctl verify`: judge a stored run again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import RunsArgument, add
from orchestrator.cli.output import FormatOption, Output
from orchestrator.cli.streams import tell
from orchestrator.errors import EnvironmentFailure

if TYPE_CHECKING:
    from orchestrator.analysis.report import RunReport
    from orchestrator.recording.folder import RunFolder


def register(app: typer.Typer) -> None:
    add(app, "verify", verify)


def verify(
    runs: list[Path] = RunsArgument,
    format_: str = FormatOption,
    verbose: bool = typer.Option(False, "--verbose", "-v"),
) -> None:
    """Judge stored runs again by the scenario in their folder, and print the report. Exit status as `run`."""
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run.judge import judge_folder

    out = Output(format_, verbose=verbose)
    reports = []
    for folder in [RunFolder.open(path) for path in runs]:
        reports.append(judge_folder(folder))
        _keep_verdicts(folder, reports[-1])
    out.print_reports(reports, many=len(runs) > 1)
    sys.exit(out.exit_code(reports))


def _keep_verdicts(folder: RunFolder, judged: RunReport) -> None:
    """A folder that cannot be written (a colleague's, an archive's) can be judged all the same."""
    from orchestrator.run.judge import keep_verdicts

    try:
        keep_verdicts(folder, judged.verdicts)
    except EnvironmentFailure as error:
        tell(f"simctl: the verdicts are not kept: {error}")
