"""`simctl run`: run scenarios and judge them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
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
    verb,
)
from orchestrator.cli.output import FormatOption, Output
from orchestrator.errors import InputError, Interrupted
from orchestrator.exitcodes import ExitCode

if TYPE_CHECKING:
    from orchestrator.run.options import Options
    from orchestrator.scenario.matrix import Cell


def register(app: typer.Typer) -> None:
    app.command("run")(run)


MatrixOption = typer.Option(
    [],
    "--matrix",
    "-m",
    metavar="NAME=VALUE,VALUE",
    help="Run with each of these values of a variable, and print one table. Repeatable: every combination.",
)
OutputOption = typer.Option(Path("runs"), "--output", "-o", help="Folder in which each run gets a folder of its own.")


@verb
def run(
    scenarios: list[str] = typer.Argument(
        ..., metavar="FILE|FOLDER|NAME ...", help="What to run; `simctl scenarios` lists names."
    ),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
    matrix: list[str] = MatrixOption,
    output: Path = OutputOption,
    format_: str = FormatOption,
    junit: Path | None = typer.Option(None, "--junit", help="Also write a JUnit report to this file."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more about expectations that hold."),
    allow_exec: bool = AllowExecOption,
    capture: bool = typer.Option(
        False, "--capture", help="Also write each network's traffic to captures/NETWORK.pcapng, for Wireshark."
    ),
    ready_timeout: str = ReadyTimeoutOption,
    jobs: int = typer.Option(1, "--jobs", "-j", min=1, help="How many run at the same time."),
    seed: int | None = typer.Option(
        None, "--seed", min=0, help="Other ports, timer phases and processor speed; only in virtual time."
    ),
    vary_seed: int | None = typer.Option(
        None, "--vary-seed", min=2, help="Run N times, each with another seed, and tell which expectations are flaky."
    ),
    quiet: bool = QuietOption,
) -> None:
    """Run scenarios: bring the nodes up, drive the traffic, record, take down, judge.

    Exit status: 0 all hold, 1 an expectation failed, 2 bad input, 3 the environment failed, 4 unknown, 130 interrupted.
    """
    from orchestrator.cli.results import Results
    from orchestrator.run.batch import Task, run_tasks
    from orchestrator.run.options import Options, check_seed
    from orchestrator.scenario.loader import find_scenario, matrix_of
    from orchestrator.scenario.matrix import parse_matrix

    seeded = seed is not None or vary_seed is not None
    options = Options(
        runtime="vm" if seeded and runtime == "auto" else runtime,
        variables=parse_variables(set_),
        output=output,
        allow_exec=allow_exec,
        capture=capture,
        ready_timeout=parse_duration_option("--ready-timeout", ready_timeout),
        seed=seed,
    )
    out = Output(format_, verbose=verbose)
    if junit is not None:
        out.check_writable(junit)
    check_seed(options.runtime, vary_seed if seed is None else seed)
    if vary_seed is not None and (format_ == "junit" or junit is not None):
        raise InputError("--vary-seed has no JUnit report: its runs are all of one name", hint="use --format json")
    paths = [path for word in scenarios for path in find_scenario(word)]
    asked = parse_matrix(matrix)
    cells = {path: matrix_of(path, asked, options.variables.keys()) for path in paths}
    if vary_seed is not None and any(any(found) for found in cells.values()):
        raise InputError("--vary-seed goes with one run, not with a matrix", hint="choose one with --set")
    for path, found in cells.items():
        _check_cells(path, found, options)
    first = 1 if seed is None else seed
    seeds: list[int | None] = [seed] if vary_seed is None else list(range(first, first + vary_seed))
    tasks = [
        Task(_label(path, cell, one), path, replace(options, seed=one, cell=cell))
        for path in paths
        for cell in cells[path]
        for one in seeds
    ]
    results = Results(tasks)

    def tell() -> None:
        if vary_seed is None:
            results.tell(out, junit)
        else:
            out.print_variations(results.variations())

    try:
        run_tasks(tasks, jobs, Progress(quiet=quiet), results.add)
    except KeyboardInterrupt:
        if results.reports:
            tell()
        raise Interrupted("interrupted; everything is taken down") from None
    tell()
    sys.exit(_worst([out.exit_code(results.reports), *(error.exit_code for _, error in results.errors)]))


def _label(path: Path, cell: Cell, seed: int | None) -> str:
    values = f" [{' '.join(cell.values())}]" if cell else ""
    return f"{path.stem}{values}" if seed is None else f"{path.stem} seed {seed}"


def _check_cells(path: Path, cells: Sequence[Cell], options: Options) -> None:
    """Before the first of many runs, not before the last. Raises InputError with each problem once."""
    from orchestrator.run.prepare import prepare

    problems: dict[str, InputError] = {}
    for cell in cells if len(cells) > 1 else ():
        try:
            prepare(path, replace(options, cell=cell))
        except InputError as error:
            problems |= {str(problem): problem for problem in error.problems}
    if problems:
        first = next(iter(problems.values()))
        raise InputError(first.message, place=first.place, hint=first.hint, problems=list(problems.values()))


def _worst(codes: list[ExitCode]) -> int:
    """Of several: what failed outweighs what could not be run, which outweighs what is unknown."""
    order = [ExitCode.PASS, ExitCode.UNKNOWN, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.FAIL]
    return int(max(codes, key=order.index))
