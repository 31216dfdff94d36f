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
    print_error,
    verb,
)
from orchestrator.cli.output import FormatOption, Output
from orchestrator.errors import InputError, Interrupted, SimctlError
from orchestrator.exitcodes import ExitCode

if TYPE_CHECKING:
    from orchestrator.report.model import RunReport
    from orchestrator.report.spread import Spread
    from orchestrator.sidebyside import Result, Task


def register(app: typer.Typer) -> None:
    app.command("run")(run)


OutputOption = typer.Option(Path("runs"), "--output", "-o", help="Folder in which each run gets a folder of its own.")


@verb
def run(
    scenarios: list[str] = typer.Argument(
        ..., metavar="FILE|FOLDER|NAME ...", help="What to run; `simctl scenarios` lists names."
    ),
    runtime: str = RuntimeOption,
    set_: list[str] = SetOption,
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
        None, "--vary-seed", min=2, help="Run so often, each time with another seed, and say what hangs on it."
    ),
    quiet: bool = QuietOption,
) -> None:
    """Run scenarios: bring the nodes up, drive the traffic, record, take down, judge.

    Exit status: 0 all hold, 1 an expectation failed, 2 bad input, 3 the environment failed, 4 unknown, 130 interrupted.
    """
    from orchestrator.run import Options, check_seed
    from orchestrator.scenario.loader import find_scenario
    from orchestrator.sidebyside import Task, run_tasks

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
    first = 1 if seed is None else seed
    seeds: list[int | None] = [seed] if vary_seed is None else list(range(first, first + vary_seed))
    tasks = [Task(_label(path, one), path, replace(options, seed=one)) for path in paths for one in seeds]
    results = _Results(tasks)

    def tell() -> None:
        if vary_seed is None:
            _tell(results, out, junit)
        else:
            out.print_spreads(results.spreads())

    try:
        run_tasks(tasks, jobs, Progress(quiet=quiet), results.add)
    except KeyboardInterrupt:
        if results.reports:
            tell()
        raise Interrupted("interrupted; everything is taken down") from None
    tell()
    sys.exit(_worst([out.exit_code(results.reports), *(error.exit_code for _, error in results.errors)]))


def _label(path: Path, seed: int | None) -> str:
    return path.stem if seed is None else f"{path.stem} seed {seed}"


class _Results:
    """What came of the tasks so far."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._found: dict[int, Result] = {}

    @property
    def many(self) -> bool:
        return len(self._tasks) > 1

    def add(self, place: int, result: Result) -> None:
        """With several, one that cannot be run is told now, and again at the end. The only one raises its error."""
        if isinstance(result, SimctlError):
            if not self.many:
                raise result
            print_error(result)
        self._found[place] = result

    @property
    def _ordered(self) -> list[tuple[Task, Result]]:
        return [(self._tasks[place], self._found[place]) for place in sorted(self._found)]

    @property
    def reports(self) -> list[RunReport]:
        """In the order in which they were asked for."""
        return [result for _, result in self._ordered if not isinstance(result, SimctlError)]

    @property
    def errors(self) -> list[tuple[Task, SimctlError]]:
        return [(task, result) for task, result in self._ordered if isinstance(result, SimctlError)]

    def spreads(self) -> list[Spread]:
        """Of each scenario that was run at least once."""
        from orchestrator.report.spread import Spread

        spreads = []
        for path in dict.fromkeys(task.path for task in self._tasks):
            mine = [(task.options.seed or 0, result) for task, result in self._ordered if task.path == path]
            reports = {seed: result for seed, result in mine if not isinstance(result, SimctlError)}
            broken = {seed: _reason(result) for seed, result in mine if isinstance(result, SimctlError)}
            if reports:
                report = next(iter(reports.values()))
                spreads.append(Spread(report.scenario, report.title, reports, broken))
        return spreads


def _tell(results: _Results, out: Output, junit: Path | None) -> None:
    from orchestrator.report.model import NotRun

    not_run = [NotRun(task.path.stem, _reason(error)) for task, error in results.errors]
    out.print_reports(results.reports, not_run, many=results.many)
    if junit is not None:
        out.write_junit(results.reports, not_run, junit)


def _reason(error: SimctlError) -> str:
    return "; ".join(str(problem) for problem in (error.problems if isinstance(error, InputError) else [error]))


def _worst(codes: list[ExitCode]) -> int:
    """Of several: what failed outweighs what could not be run, which outweighs what is unknown."""
    order = [ExitCode.PASS, ExitCode.UNKNOWN, ExitCode.ENVIRONMENT, ExitCode.USAGE, ExitCode.FAIL]
    return int(max(codes, key=order.index))
