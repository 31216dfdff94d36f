"""`simctl run`: run scenarios and judge them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import (
    AllowExecOption,
    Progress,
    QuietOption,
    ReadyTimeoutOption,
    RuntimeOption,
    SetOption,
    parse_duration_option,
    parse_variables,
    print_error,
    verb,
)
from orchestrator.cli.output import FormatOption, Output
from orchestrator.errors import EnvironmentFailure, InputError, Interrupted, SimctlError
from orchestrator.exitcodes import ExitCode

if TYPE_CHECKING:
    from orchestrator.report.model import RunReport
    from orchestrator.run import Options


def register(app: typer.Typer) -> None:
    app.command("run")(run)


@verb
def run(
    scenarios: list[str] = typer.Argument(
        ..., metavar="FILE|FOLDER|NAME ...", help="What to run; `simctl scenarios` lists names."
    ),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
    output: Path = typer.Option(
        Path("runs"), "--output", "-o", help="Folder in which each run gets a folder of its own."
    ),
    format_: str = FormatOption,
    junit: Path | None = typer.Option(None, "--junit", help="Also write a JUnit report to this file."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more about expectations that hold."),
    allow_exec: bool = AllowExecOption,
    capture: bool = typer.Option(
        False, "--capture", help="Also write each network's traffic to captures/NETWORK.pcapng, for Wireshark."
    ),
    ready_timeout: str = ReadyTimeoutOption,
    quiet: bool = QuietOption,
) -> None:
    """Run scenarios: bring the nodes up, drive the traffic, record, take down, judge.

    Exit status: 0 all hold, 1 an expectation failed, 2 bad input, 3 the environment failed, 4 unknown, 130 interrupted.
    """
    from orchestrator.run import Options
    from orchestrator.scenario.loader import find_scenario

    options = Options(
        runtime=runtime,
        variables=parse_variables(set_),
        output=output,
        allow_exec=allow_exec,
        capture=capture,
        ready_timeout=parse_duration_option("--ready-timeout", ready_timeout),
    )
    out = Output(format_, verbose=verbose)
    if junit is not None:
        out.check_writable(junit)
    paths = [path for word in scenarios for path in find_scenario(word)]
    reports, errors = _run_all(paths, options, Progress(quiet=quiet))
    out.print_reports(reports, many=len(paths) > 1)
    if junit is not None:
        out.write_junit(reports, junit)
    codes = [out.exit_code(reports), *(error.exit_code for error in errors)]
    sys.exit(_worst(codes))


def _run_all(paths: list[Path], options: Options, progress: Progress) -> tuple[list[RunReport], list[SimctlError]]:
    """Run each; with several, a broken one does not keep the others from running."""
    from orchestrator.run import run as run_one

    reports: list[RunReport] = []
    errors: list[SimctlError] = []
    for path in paths:
        if len(paths) > 1:
            progress(f"--- {path.stem}")
        try:
            reports.append(run_one(path, options, progress))
        except Interrupted:
            raise
        except (InputError, EnvironmentFailure) as error:
            if len(paths) == 1:
                raise
            print_error(error)
            errors.append(error)
    return reports, errors


def _worst(codes: list[ExitCode]) -> int:
    """Of several: what failed outweighs what could not be run, which outweighs what is unknown."""
    order = [ExitCode.PASS, ExitCode.UNKNOWN, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.FAIL]
    return int(max(codes, key=order.index))
