"""`simctl determinism`: run a scenario twice in virtual time, and hold the recordings side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import (
    AllowExecOption,
    ProgressLines,
    QuietOption,
    ReadyTimeoutOption,
    SetOption,
    add,
    parse_duration_option,
    parse_variables,
    shown,
)
from orchestrator.cli.run import OutputOption
from orchestrator.errors import InputError, SimctlError
from orchestrator.exitcodes import ExitCode
from orchestrator.text.safe import printable

if TYPE_CHECKING:
    from orchestrator.analysis.compare.determinism import Difference
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run.options import Options
    from orchestrator.run.task import Result

_BEFORE, _SHOWN = 60, 160
"""Characters of a long line: before the first that differs, and in all."""


def register(app: typer.Typer) -> None:
    add(app, "determinism", determinism)


def determinism(
    scenario: str = typer.Argument(..., metavar="FILE|NAME", help="What to run."),
    set_: list[str] = SetOption,
    output: Path = OutputOption,
    allow_exec: bool = AllowExecOption,
    ready_timeout: str = ReadyTimeoutOption,
    seed: int | None = typer.Option(None, "--seed", metavar="N", min=0, help="Of both runs; as with `simctl run`."),
    jobs: int = typer.Option(2, "--jobs", "-j", metavar="N", min=1, max=2, help="How many run at the same time."),
    quiet: bool = QuietOption,
) -> None:
    """Run a scenario twice in virtual time, and compare what was recorded, byte by byte.

    Exit status: 0 the same, 1 not the same, 2 bad input, 3 the environment failed, 130 interrupted.
    """
    from orchestrator.analysis.compare.determinism import compare
    from orchestrator.run.options import Options
    from orchestrator.runtimes.registry import virtual_time

    variables = parse_variables(set_)
    path = _one_scenario(scenario, variables)
    options = Options(
        runtime=virtual_time().name,
        variables=variables,
        output=output,
        allow_exec=allow_exec,
        ready_timeout=parse_duration_option("--ready-timeout", ready_timeout),
        seed=seed,
    )
    first, second = _run_twice(path, options, jobs, ProgressLines(quiet=quiet))
    recordings = [folder.events.read_bytes() for folder in (first, second)]
    found = compare(*recordings, same_snapshot=_snapshot(first) == _snapshot(second))
    if found is None:
        print(f"{path.stem}: two runs, {len(recordings[0].splitlines())} events, byte-identical")
        print(f"  {shown(first.events)}\n  {shown(second.events)}")
        sys.exit(ExitCode.PASS)
    print(f"{path.stem}: the recordings part in line {found.line}; lines that differ: {found.lines}")
    _print_difference(found, first, second)
    sys.exit(ExitCode.FAIL)


def _one_scenario(word: str, variables: Mapping[str, str]) -> Path:
    from orchestrator.scenario.loader import find_scenario, matrix_of

    paths = find_scenario(word)
    if len(paths) > 1:
        raise InputError(f"{word} means {len(paths)} scenarios, and this takes one at a time")
    if len(runs := matrix_of(paths[0], {}, variables)) > 1:
        hint = f"choose one with --set {next(iter(runs[0]))}=..."
        raise InputError(f"{word} is a matrix of {len(runs)} runs, and this takes one at a time", hint=hint)
    return paths[0]


def _run_twice(path: Path, options: Options, jobs: int, progress: ProgressLines) -> tuple[RunFolder, RunFolder]:
    from orchestrator.recording.folder import RunFolder
    from orchestrator.run.batch import run_tasks
    from orchestrator.run.task import Task

    folders: dict[int, RunFolder] = {}

    def done(place: int, result: Result) -> None:
        if isinstance(result, SimctlError):
            raise result
        assert result.folder is not None  # it was recorded just now
        folders[place] = RunFolder.open(result.folder)

    run_tasks([Task(f"{name} run", path, options) for name in ("first", "second")], jobs, progress, done)
    return folders[0], folders[1]


def _print_difference(found: Difference, first: RunFolder, second: RunFolder) -> None:
    from orchestrator.report.words.determinism import CAUSES

    column = _column(found)
    for folder, line in ((first, found.first), (second, found.second)):
        print(f"  {shown(folder.events)}:{found.line}\n    {excerpt(line, column)}")
    if found.fields:
        print(f"  what differs: {', '.join(found.fields)}")
    print(f"  what may cause it: {CAUSES[found.cause]}")


def _snapshot(folder: RunFolder) -> object:
    return json.loads(folder.env.read_text())["virtual"]["snapshot"]


def _column(found: Difference) -> int:
    """Where the two lines part."""
    pairs = enumerate(zip(found.first, found.second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(found.first), len(found.second)))


def excerpt(line: str, column: int) -> str:
    """The part of a line that has this column."""
    start = max(0, column - _BEFORE)
    end = start + _SHOWN
    if not line:
        return "(no such line)"
    return ("..." if start else "") + printable(line[start:end]) + ("..." if end < len(line) else "")
