"""The order: what the host wants a guest to do, as plain data, made on one side and read on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from orchestrator.errors import InputError, Place
from orchestrator.run.options import Options
from orchestrator.scenario.model import Scenario
from orchestrator.text.record import record
from orchestrator.topology.model import Topology

_TOPOLOGY: TypeAdapter[Topology] = TypeAdapter(Topology)

_STEPS = ("name", "topology", "steps")
"""What of a scenario matters in the guest. Expectations are the host's: it judges."""

_VOLUMES = "volumes"


@record
class Order:
    """A scenario's steps, a topology, and the options of recording."""

    scenario: Scenario
    topology: Topology
    options: Options


Files = list[tuple[str, Path]]


def to_facts(scenario: Mapping[str, Any], topology: Topology, options: Options) -> tuple[dict[str, Any], Files]:
    """The order as JSON data, and the files that go along: name and path. `scenario` is the file's data.

    A volume's source becomes a name below the folder in which the guest unpacks the files.
    """
    files: Files = []
    nodes = []
    for node in topology.nodes:
        volumes = []
        for volume in node.volumes:
            name = f"{_VOLUMES}/{len(files)}/{volume.source.name}"
            files += _files(name, volume.source)
            volumes.append(replace(volume, source=Path(name)))
        nodes.append(replace(node, volumes=tuple(volumes)))
    facts = {
        "scenario": {key: scenario[key] for key in _STEPS},
        "topology": _TOPOLOGY.dump_python(replace(topology, nodes=tuple(nodes)), mode="json"),
        "capture": options.capture,
        "ready_timeout": options.ready_timeout,
        "seed": options.seed,
    }
    return facts, files


def _files(name: str, path: Path) -> Files:
    if not path.is_dir():
        return [(name, path)]
    return [(f"{name}/{file.relative_to(path).as_posix()}", file) for file in sorted(path.rglob("*")) if file.is_file()]


def problem_facts(problem: InputError) -> dict[str, Any]:
    """Something wrong with a file, as JSON data."""
    place = None if problem.place is None else [str(problem.place.path), problem.place.line, problem.place.column]
    return {"message": problem.message, "hint": problem.hint, "place": place}


def problem_of(facts: Mapping[str, Any]) -> InputError:
    """The problem again."""
    place = None if facts["place"] is None else Place(*facts["place"])
    return InputError(facts["message"], hint=facts["hint"], place=place)


def from_facts(facts: Mapping[str, Any], files: Path) -> Order:
    """The order again, in the guest; `files` is the folder with what came along."""
    topology = _TOPOLOGY.validate_python(facts["topology"])
    nodes = [
        replace(node, volumes=tuple(replace(volume, source=files / volume.source) for volume in node.volumes))
        for node in topology.nodes
    ]
    return Order(
        Scenario.model_validate(facts["scenario"]),
        replace(topology, nodes=tuple(nodes)),
        Options(capture=facts["capture"], ready_timeout=facts["ready_timeout"], seed=facts["seed"]),
    )
