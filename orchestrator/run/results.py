"""What came of the runs that one command asked for: reports, matrices, seed variations, and what could not be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import InputError, SimctlError
from orchestrator.run.task import Result, Task
from orchestrator.scenario.loader import load_scenario

if TYPE_CHECKING:
    from orchestrator.analysis.compare.matrix import Matrix
    from orchestrator.analysis.compare.seeds import SeedVariation
    from orchestrator.analysis.report import NotRun, RunReport

Pairs = Sequence[tuple[Task, Result]]


class Results:
    """What came of the tasks so far, in the order in which they were asked for."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._found: dict[int, Result] = {}

    def add(self, place: int, result: Result) -> None:
        """What came of the task at that place of the list."""
        self._found[place] = result

    @property
    def many(self) -> bool:
        """Whether more than one run was asked for."""
        return len(self._tasks) > 1

    @property
    def _ordered(self) -> Pairs:
        return [(self._tasks[place], self._found[place]) for place in sorted(self._found)]

    @property
    def _alone(self) -> Pairs:
        return [(task, result) for task, result in self._ordered if not task.options.cell]

    @property
    def reports(self) -> list[RunReport]:
        return _reports(self._ordered)

    @property
    def not_run(self) -> list[NotRun]:
        return _not_run(self._ordered)

    @property
    def alone(self) -> tuple[list[RunReport], list[NotRun]]:
        """The same, less what belongs to a matrix."""
        return _reports(self._alone), _not_run(self._alone)

    @property
    def errors(self) -> list[SimctlError]:
        return [result for _, result in self._ordered if isinstance(result, SimctlError)]

    def matrices(self) -> list[Matrix]:
        """Of each scenario that has one."""
        from orchestrator.analysis.compare.matrix import Broken, Matrix

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
        from orchestrator.analysis.compare.seeds import SeedVariation

        variations = []
        for path in dict.fromkeys(task.path for task in self._tasks):
            mine = [(task.options.seed or 0, result) for task, result in self._ordered if task.path == path]
            reports = {seed: result for seed, result in mine if not isinstance(result, SimctlError)}
            broken = {seed: _reason(result) for seed, result in mine if isinstance(result, SimctlError)}
            if reports:
                report = next(iter(reports.values()))
                variations.append(SeedVariation(report.scenario, report.title, reports, broken))
        return variations


def _reports(results: Pairs) -> list[RunReport]:
    return [result for _, result in results if not isinstance(result, SimctlError)]


def _not_run(results: Pairs) -> list[NotRun]:
    from orchestrator.analysis.report import NotRun

    return [NotRun(task.label, _reason(result)) for task, result in results if isinstance(result, SimctlError)]


def _reason(error: SimctlError) -> str:
    """In one line; with the last of what a program said, which mostly is why."""
    problems = error.problems if isinstance(error, InputError) else [error]
    return "; ".join(
        f"{problem}: {problem.detail[-1].strip()}" if problem.detail else str(problem) for problem in problems
    )
