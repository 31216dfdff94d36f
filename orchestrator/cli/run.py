"""`simctl run`: run scenarios and judge them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import (
    AllowExecOption,
    ProgressLines,
    QuietOption,
    ReadyTimeoutOption,
    RuntimeOption,
    SetOption,
    add,
    parse_duration_option,
    parse_variables,
    print_error,
)
from orchestrator.cli.output import FormatOption, Output
from orchestrator.errors import InputError, Interrupted, SimctlError
from orchestrator.exitcodes import ExitCode
from orchestrator.report.forms.registry import FORMS, module
from orchestrator.runtimes.registry import AUTO, begin, virtual_time

if TYPE_CHECKING:
    from orchestrator.run.results import Results
    from orchestrator.run.task import Result


def register(app: typer.Typer) -> None:
    add(app, "run", run)


MatrixOption = typer.Option(
    [],
    "--matrix",
    "-m",
    metavar="NAME=VALUE,VALUE",
    help="Run with each of these values of a variable, and print one table. Repeatable: every combination.",
)
OutputOption = typer.Option(
    Path("runs"), "--output", "-o", metavar="FOLDER", help="Folder in which each run gets a folder of its own."
)


def run(
    scenarios: list[str] = typer.Argument(
        ..., metavar="FILE|FOLDER|NAME ...", help="What to run; `simctl scenarios` lists names."
    ),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
    matrix: list[str] = MatrixOption,
    output: Path = OutputOption,
    format_: str = FormatOption,
    junit: Path | None = typer.Option(None, "--junit", metavar="FILE", help="Also write a JUnit report to this file."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more about expectations that hold."),
    allow_exec: bool = AllowExecOption,
    capture: bool = typer.Option(
        False, "--capture", help="Also write each network's traffic to captures/NETWORK.pcapng, for Wireshark."
    ),
    ready_timeout: str = ReadyTimeoutOption,
    jobs: int = typer.Option(1, "--jobs", "-j", metavar="N", min=1, help="How many run at the same time."),
    seed: int | None = typer.Option(
        None, "--seed", metavar="N", min=0, help="Other ports, timer phases and processor speed; only in virtual time."
    ),
    vary_seed: int | None = typer.Option(
        None,
        "--vary-seed",
        metavar="N",
        min=2,
        help="Run N times, each with another seed, and tell which expectations are flaky.",
    ),
    quiet: bool = QuietOption,
) -> None:
    """Run scenarios: bring the nodes up, drive the traffic, record, take down, judge.

    Exit status: 0 all hold, 1 an expectation failed, 2 bad input, 3 the environment failed, 4 unknown, 130 interrupted.
    """
    where = _begun(runtime, scenarios[0], seeded=seed is not None or vary_seed is not None, jobs=jobs)
    from orchestrator.run.batch import run_tasks
    from orchestrator.run.options import Options
    from orchestrator.run.plan import plan_tasks
    from orchestrator.run.results import Results
    from orchestrator.scenario.matrix import parse_matrix

    options = Options(
        runtime=where,
        variables=parse_variables(set_),
        output=output,
        allow_exec=allow_exec,
        capture=capture,
        ready_timeout=parse_duration_option("--ready-timeout", ready_timeout),
        seed=seed,
        afterwards=(module(format_),) if format_ in FORMS else (),
    )
    out = _output(format_, junit, verbose=verbose, varied=vary_seed is not None)
    tasks = plan_tasks(scenarios, options, parse_matrix(matrix), vary_seed)
    results = Results(tasks)
    show = partial(_show_variations if vary_seed is not None else _show, results, out, junit)
    with _shown_if_interrupted(results, show):
        run_tasks(tasks, jobs, ProgressLines(quiet=quiet), partial(_add, results))
    show()
    sys.exit(_worst([out.exit_code(results.reports), *(error.exit_code for error in results.errors)]))


@contextlib.contextmanager
def _shown_if_interrupted(results: Results, show: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if results.reports:
            show()
        raise Interrupted("interrupted; everything is taken down") from None


def _begun(asked: str, scenario: str, *, seeded: bool, jobs: int) -> str:
    """The runtime: a seed is for virtual time, so that is what `auto` means with one. What each of its labs takes is
    started; several at a time are processes of their own, which start it themselves."""
    runtime = virtual_time().name if seeded and asked == AUTO else asked
    if jobs == 1:
        begin(runtime, scenario)
    return runtime


def _output(form: str, junit: Path | None, *, verbose: bool, varied: bool) -> Output:
    out = Output(form, verbose=verbose)
    if junit is not None:
        out.check_writable(junit)
    if varied and (form == "junit" or junit is not None):
        raise InputError("--vary-seed has no JUnit report: its runs are all of one name", hint="use --format json")
    return out


def _add(results: Results, place: int, result: Result) -> None:
    """With several, one that cannot be run is reported now, and again at the end. The only one raises its error."""
    if isinstance(result, SimctlError):
        if not results.many:
            raise result
        print_error(result)
    results.add(place, result)


def _show(results: Results, out: Output, junit: Path | None) -> None:
    """Print reports, and matrices as tables; a JUnit report names each run of a matrix."""
    if out.tabular:
        reports, not_run = results.alone
        out.print_results(reports, not_run, results.matrices())
    else:
        out.print_reports(results.reports, results.not_run, many=results.many)
    if junit is not None:
        out.write_junit(results.reports, results.not_run, junit)


def _show_variations(results: Results, out: Output, _: Path | None) -> None:
    out.print_variations(results.variations())


def _worst(codes: list[ExitCode]) -> int:
    """Of several: what failed outweighs what could not be run, which outweighs what is unknown."""
    order = [ExitCode.PASS, ExitCode.UNKNOWN, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.FAIL]
    return int(max(codes, key=order.index))
