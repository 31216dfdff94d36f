"""`simctl validate`: what can be checked before anything runs."""

from __future__ import annotations

import sys
from dataclasses import replace

import typer

from orchestrator.cli.common import AllowExecOption, SetOption, add, parse_variables, print_error
from orchestrator.errors import InputError
from orchestrator.exitcodes import ExitCode
from orchestrator.text.numbers import plural


def register(app: typer.Typer) -> None:
    add(app, "validate", validate)


def validate(
    scenarios: list[str] = typer.Argument(..., metavar="FILE|FOLDER|NAME ..."),
    set_: list[str] = SetOption,
    allow_exec: bool = AllowExecOption,
) -> None:
    """Check scenarios and their topologies without starting anything. Exit status 2 when one is wrong."""
    import orchestrator.judge.facts  # noqa: F401 - it raises where a fact could be expected that nobody can judge
    from orchestrator.run.options import Options
    from orchestrator.run.prepare import check_set, prepare
    from orchestrator.scenario.loader import find_scenario, matrix_of, topologies_of

    options = Options(variables=parse_variables(set_), allow_exec=allow_exec)
    failed = False
    paths = [path for word in scenarios for path in find_scenario(word)]
    check_set(options.variables, topologies_of(paths))
    for path in paths:
        cells = matrix_of(path, {}, options.variables.keys())
        try:
            prepared = [prepare(path, replace(options, cell=cell)) for cell in cells][-1]
        except InputError as error:
            print_error(error)
            failed = True
            continue
        scenario = prepared.scenario
        runs = f", {len(cells)} runs" if len(cells) > 1 else ""
        print(
            f"{path}: ok ({plural(len(prepared.topology.nodes), 'node')}, {plural(len(scenario.steps), 'step')}, "
            f"{plural(len(scenario.expect), 'expectation')}{runs})"
        )
        for note in prepared.topology.notes:
            print(f"  {note.place}: {note.text}")
    if failed:
        sys.exit(ExitCode.USAGE)
