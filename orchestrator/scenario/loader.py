"""Finds and reads scenarios. Everything that is wrong with a file is reported at once, with line and column."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from orchestrator.bounds import PROBLEMS
from orchestrator.errors import InputError, Place, raise_problems
from orchestrator.scenario.matrix import Cell, cells
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.translate import translate, without_value
from orchestrator.system import resources
from orchestrator.text.record import record
from orchestrator.text.suggest import did_you_mean, shown
from orchestrator.text.yamlsource import Source, load_yaml

SUFFIXES = (".yaml", ".yml")
_SCENARIO_KEY = re.compile(rb"^(steps|expect)\s*:", re.MULTILINE)
"""What tells a scenario from the Compose files and node kinds around it, even when it cannot be parsed."""


@record
class LoadedScenario:
    """A scenario together with where it came from."""

    scenario: Scenario
    source: Source
    topology_path: Path
    """The Compose file that the scenario names, found from the scenario's folder; it exists."""


def load_scenario(path: Path) -> LoadedScenario:
    """Reads and validates a scenario file. Raises InputError; `problems` has all that is wrong with the file.

    Whether the topology has what the scenario names is another question: run/check.py.
    """
    source = load_yaml(path)
    scenario = parse_scenario(source)
    topology = _tidy(path.parent / scenario.topology)
    if not _is_file(topology):
        names = [entry.name for entry in topology.parent.iterdir()] if _is_folder(topology.parent) else []
        near = did_you_mean(topology.name, names)
        raise InputError(
            f"`topology`: no such file: {shown(str(topology))}",
            place=source.place(("topology",)),
            hint=f"did you mean {Path(scenario.topology).with_name(near)}?"
            if near
            else "the path is relative to this file",
        )
    return LoadedScenario(scenario, source, topology)


def matrix_of(path: Path, asked: Mapping[str, Sequence[str]], pinned: Collection[str]) -> list[Cell]:
    """The runs of a scenario file, as `matrix.cells` has them; a file that is wrong is one, which will say so."""
    try:
        own = load_scenario(path).scenario.matrix
    except InputError:
        return [{}]
    return cells(own, asked, pinned)


def topologies_of(paths: Iterable[Path]) -> list[Path]:
    """The Compose files that the scenarios name, each once; none of a scenario that is wrong, which will say so."""
    found: dict[Path, None] = {}
    for path in paths:
        with contextlib.suppress(InputError):
            found[load_scenario(path).topology_path] = None
    return list(found)


_last: tuple[Source, Scenario] | None = None
"""The runs of a matrix read the same scenario, one after the other."""


def parse_scenario(source: Source) -> Scenario:
    """The scenario in a YAML source. Raises InputError as `load_scenario` does, except for the topology."""
    global _last
    if _last is None or _last[0] is not source:
        _last = source, _parsed(source)
    return _last[1]


def _parsed(source: Source) -> Scenario:
    problems = without_value(source)
    if len(problems) >= PROBLEMS.limit:
        raise_problems(problems, source.path)
    try:
        scenario = Scenario.model_validate(source.data)
    except ValidationError as error:
        raise_problems(problems + translate(error, source), source.path)
        raise
    raise_problems(problems, source.path)
    return scenario


def find_scenario(name_or_path: str) -> list[Path]:
    """The scenario files that a user means: a file, a folder (all below it, sorted) or the name of a bundled one.

    The name of a bundled one is its file without suffix, with or without its subfolder; a bundled subfolder means
    all of it. Raises InputError for what is none of these.
    """
    path = Path(name_or_path)
    if name_or_path and _is_folder(path):
        found = _scenarios_below(path)
        if not found:
            raise InputError("no scenario in this folder or below it", place=Place(path))
        return found
    if name_or_path and _exists(path):
        return [path]
    names = bundled_scenarios()
    matches = [file for name, file in names.items() if name_or_path in (name, file.stem)]
    if len(matches) > 1:
        which = " or ".join(name for name, file in names.items() if file in matches)
        raise InputError(f"{len(matches)} bundled scenarios are called {name_or_path}", hint=f"say which: {which}")
    matches = matches or [file for name, file in names.items() if name.startswith(f"{name_or_path.rstrip('/')}/")]
    if matches:
        return matches
    if path.suffix in SUFFIXES:
        load_yaml(path)  # says what is wrong with the path, and which file is near
    near = did_you_mean(name_or_path, [*names, *(file.stem for file in names.values())])
    raise InputError(
        f"no scenario file, folder or bundled scenario {name_or_path!r}",
        hint=f"did you mean {near}?" if near else "give a file, a folder, or the name of a bundled scenario",
        detail=[f"bundled: {', '.join(names)}"],
    )


def bundled_scenarios() -> dict[str, Path]:
    """Name -> file of every bundled scenario, sorted; in subfolders the name is `FOLDER/NAME`."""
    root = resources.SCENARIOS
    return {file.relative_to(root).with_suffix("").as_posix(): file for file in _scenarios_below(root)}


def _scenarios_below(folder: Path) -> list[Path]:
    hidden = re.compile(r"(^|/)\.[^/]")
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in SUFFIXES
        and not hidden.search(file.relative_to(folder).as_posix())
        and _is_file(file)
        and looks_like_scenario(file)
    )


def looks_like_scenario(file: Path) -> bool:
    """Whether a YAML file is meant to be one, right or wrong."""
    try:
        return _SCENARIO_KEY.search(file.read_bytes()) is not None
    except OSError:
        return True  # named as a scenario's file is; reading it will say what is wrong


def _tidy(path: Path) -> Path:
    """`scenarios/../compose/x.yaml` as `compose/x.yaml`, unless a symbolic link makes these two files."""
    short = Path(os.path.normpath(path))
    try:
        return short if short.samefile(path) else path
    except (OSError, ValueError):
        return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long; a NUL
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
