"""`simctl run`: run scenarios and judge them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
    results = _Results([], {})
    try:
        _run_all(paths, options, Progress(quiet=quiet), results)
    except KeyboardInterrupt:
        if results.reports:
            _tell(results, out, junit, many=True)
        raise Interrupted("interrupted; everything is taken down") from None
    _tell(results, out, junit, many=len(paths) > 1)
    sys.exit(_worst([out.exit_code(results.reports), *(error.exit_code for error in results.errors.values())]))


@dataclass(frozen=True, slots=True)
class _Results:
    """What came of several scenarios so far: reports, and file -> why it could not be run."""

    reports: list[RunReport]
    errors: dict[Path, SimctlError]


def _run_all(paths: list[Path], options: Options, progress: Progress, results: _Results) -> None:
    """Run each; with several, a broken one does not keep the others from running."""
    from orchestrator.run import run as run_one

    for path in paths:
        if len(paths) > 1:
            progress(f"--- {path.stem}")
        try:
            results.reports.append(run_one(path, options, progress))
        except (InputError, EnvironmentFailure) as error:
            if len(paths) == 1:
                raise
            print_error(error)
            results.errors[path] = error


def _tell(results: _Results, out: Output, junit: Path | None, *, many: bool) -> None:
    from orchestrator.report.model import NotRun

    not_run = [NotRun(path.stem, _reason(error)) for path, error in results.errors.items()]
    out.print_reports(results.reports, not_run, many=many)
    if junit is not None:
        out.write_junit(results.reports, not_run, junit)


def _reason(error: SimctlError) -> str:
    return "; ".join(str(problem) for problem in (error.problems if isinstance(error, InputError) else [error]))


def _worst(codes: list[ExitCode]) -> int:
    """Of several: what failed outweighs what could not be run, which outweighs what is unknown."""
    order = [ExitCode.PASS, ExitCode.UNKNOWN, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.FAIL]
    return int(max(codes, key=order.index))
