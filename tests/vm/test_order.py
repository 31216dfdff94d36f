"""What goes into the guest and what comes out, as JSON: the order, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.errors import InputError, Place
from orchestrator.run.options import Options
from orchestrator.run.virtual.order import from_facts, problem_facts, problem_of, to_facts
from orchestrator.text.yamlsource import parse_yaml
from orchestrator.topology.compose.file import load_topology


def test_the_places_of_sysctls_arrive(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("services: {a: {image: simctl/host, sysctls: {net.core.somaxconn: 4}}}\n")
    topology = load_topology(path, {}, kinds=["host"])
    scenario = parse_yaml("name: x\ntopology: lab.yaml\nsteps: [{wait: 1s}]\nexpect: []\n", "x.yaml").data
    facts, files = to_facts(scenario, topology, Options())
    order = from_facts(json.loads(json.dumps(facts)), tmp_path)
    assert files == []
    place = order.topology.nodes[0].sysctl_places["net.core.somaxconn"]
    assert (str(place.path), place.line, place.column) == (str(path), 1, 66)


def test_a_problem_comes_back_with_its_place() -> None:
    for problem in (InputError("x", hint="y", place=Place("lab.yaml", 3, 4)), InputError("x")):
        back = problem_of(json.loads(json.dumps(problem_facts(problem))))
        assert (str(back), back.hint) == (str(problem), problem.hint)
