"""From what one command asks for to single runs: every scenario, with every row of its matrix, with every seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.run.options import Options, check_seed
from orchestrator.run.prepare import check_set, prepare
from orchestrator.run.task import Task
from orchestrator.scenario.loader import find_scenario, matrix_of, topologies_of
from orchestrator.scenario.matrix import Cell


def plan_tasks(
    scenarios: Sequence[str], options: Options, matrix: Mapping[str, Sequence[str]], seeds: int | None
) -> list[Task]:
    """The runs, in the order in which they are asked for.

    `scenarios` are files, folders and names; `matrix` goes above that of a scenario; with `seeds` each is run with so
    many of them, the first being that of `options`. Raises InputError, before the first of many runs.
    """
    check_seed(options.runtime, seeds if options.seed is None else options.seed)
    paths = [path for word in scenarios for path in find_scenario(word)]
    check_set(options.variables, topologies_of(paths))
    cells = {path: matrix_of(path, matrix, options.variables.keys()) for path in paths}
    if seeds is not None and any(any(found) for found in cells.values()):
        raise InputError("--vary-seed goes with one run, not with a matrix", hint="choose one with --set")
    for path, found in cells.items():
        _check_cells(path, found, options)
    first = 1 if options.seed is None else options.seed
    each = [options.seed] if seeds is None else list(range(first, first + seeds))
    return [
        Task(_label(path, cell, seed), path, replace(options, seed=seed, cell=cell))
        for path in paths
        for cell in cells[path]
        for seed in each
    ]


def _label(path: Path, cell: Cell, seed: int | None) -> str:
    values = f" [{' '.join(cell.values())}]" if cell else ""
    return f"{path.stem}{values}" if seed is None else f"{path.stem} seed {seed}"


def _check_cells(path: Path, cells: Sequence[Cell], options: Options) -> None:
    """Before the first of many runs, not before the last. Raises InputError with each problem once."""
    problems: dict[str, InputError] = {}
    for cell in cells if len(cells) > 1 else ():
        try:
            prepare(path, replace(options, cell=cell))
        except InputError as error:
            problems |= {str(problem): problem for problem in error.problems}
    if problems:
        first = next(iter(problems.values()))
        raise InputError(first.message, place=first.place, hint=first.hint, problems=list(problems.values()))
