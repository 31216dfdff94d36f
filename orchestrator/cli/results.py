"""What came of the runs that one command asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.analysis.compare.matrix import Broken, Matrix
from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.analysis.report import NotRun, RunReport
from orchestrator.cli.common import print_error
from orchestrator.cli.output import Output
from orchestrator.errors import InputError, SimctlError
from orchestrator.run.batch import Result, Task
from orchestrator.scenario.loader import load_scenario


class Results:
    """What came of the tasks so far."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._found: dict[int, Result] = {}

    def add(self, place: int, result: Result) -> None:
        """With several, one that cannot be run is told now, and again at the end. The only one raises its error."""
        if isinstance(result, SimctlError):
            if not self._many:
                raise result
            print_error(result)
        self._found[place] = result

    @property
    def _many(self) -> bool:
        return len(self._tasks) > 1

    @property
    def _ordered(self) -> list[tuple[Task, Result]]:
        """In the order in which they were asked for."""
        return [(self._tasks[place], self._found[place]) for place in sorted(self._found)]

    @property
    def reports(self) -> list[RunReport]:
        return _reports(self._ordered)

    @property
    def errors(self) -> list[tuple[Task, SimctlError]]:
        return [(task, result) for task, result in self._ordered if isinstance(result, SimctlError)]

    def tell(self, out: Output, junit: Path | None) -> None:
        """Print reports, and matrices as tables; a JUnit report names each run of a matrix."""
        not_run = [NotRun(task.label, _reason(error)) for task, error in self.errors]
        if out.tabular:
            alone = [(task, result) for task, result in self._ordered if not task.options.cell]
            lost = [NotRun(task.label, _reason(result)) for task, result in alone if isinstance(result, SimctlError)]
            out.print_results(_reports(alone), lost, self.matrices())
        else:
            out.print_reports(self.reports, not_run, many=self._many)
        if junit is not None:
            out.write_junit(self.reports, not_run, junit)

    def matrices(self) -> list[Matrix]:
        """Of each scenario that has one."""
        found = []
        for path in dict.fromkeys(task.path for task in self._tasks if task.options.cell):
            mine = [(task, result) for task, result in self._ordered if task.path == path]
            if mine:
                scenario = load_scenario(path).scenario
                results = [
                    Broken(task.options.cell, _reason(result)) if isinstance(result, SimctlError) else result
                    for task, result in mine
                ]
                variables = tuple(mine[0][0].options.cell)
                found.append(Matrix(scenario.name, scenario.title, variables, tuple(results)))
        return found

    def variations(self) -> list[SeedVariation]:
        """Of each scenario that was run at least once."""
        variations = []
        for path in dict.fromkeys(task.path for task in self._tasks):
            mine = [(task.options.seed or 0, result) for task, result in self._ordered if task.path == path]
            reports = {seed: result for seed, result in mine if not isinstance(result, SimctlError)}
            broken = {seed: _reason(result) for seed, result in mine if isinstance(result, SimctlError)}
            if reports:
                report = next(iter(reports.values()))
                variations.append(SeedVariation(report.scenario, report.title, reports, broken))
        return variations


def _reports(results: Sequence[tuple[Task, Result]]) -> list[RunReport]:
    return [result for _, result in results if not isinstance(result, SimctlError)]


def _reason(error: SimctlError) -> str:
    """In one line; with the last of what a program said, which mostly is why."""
    problems = error.problems if isinstance(error, InputError) else [error]
    return "; ".join(
        f"{problem}: {problem.detail[-1].strip()}" if problem.detail else str(problem) for problem in problems
    )
