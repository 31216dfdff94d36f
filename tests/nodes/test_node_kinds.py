"""What every folder of nodes/ promises: node.yaml, Dockerfile and programs say the same."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from orchestrator.kinds.registry import argv, kind, kind_names
from orchestrator.system.resources import NODES
from tests.support.kindsources import knobs_read
from tests.support.node_process import JETTY, ORIGIN, server

OURS = ("host", "jetty", "origin", "requests")
PROGRAMS = sorted(path for path in NODES.rglob("*.py"))


def test_the_kinds_are_there() -> None:
    assert set(OURS) <= set(kind_names())


@pytest.mark.parametrize("name", kind_names())
def test_the_image_starts_what_node_yaml_starts(name: str) -> None:
    text = (NODES / name / "Dockerfile").read_text()
    assert text.startswith("ARG BASE=simctl/base\nFROM ${BASE}")
    stages = re.findall("^FROM (.*)$", text, re.MULTILINE)
    assert stages in (["${BASE}"], ["${BASE} AS build", "${BASE}"]), "a compiler stays in a stage of its own"
    text = text.rpartition("\nFROM ")[2]
    assert f"COPY . /simctl/{name}/" in text
    entrypoint = json.loads(text.partition("ENTRYPOINT ")[2].splitlines()[0])
    here = [word.replace(str(NODES), "/simctl") for word in argv(kind(name), "python3")]
    assert entrypoint == ["python3", "/simctl/base/init.py", *here]


def test_the_programs_were_found() -> None:
    assert {path.parent.name for path in PROGRAMS} >= {"base", "jetty", "origin", "requests"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(NODES)))
def test_programs_need_nothing_of_simctl_and_run_on_debian(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 11))
    imported = {alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names}
    imported |= {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    assert not [name for name in imported if name.split(".")[0] == "orchestrator"]


def test_the_knobs_of_origin_are_those_that_it_reads() -> None:
    assert knobs_read("origin", "settings.py") == set(kind("origin").knobs)


def test_the_knobs_of_jetty_are_those_that_it_reads() -> None:
    read = set(re.findall(r'knob\("([A-Z_]+)"', (NODES / "jetty" / "src" / "simctl" / "Main.java").read_text()))
    assert read == set(kind("jetty").knobs)


@pytest.mark.parametrize(
    ("name", "program"), [("origin", ORIGIN), pytest.param("jetty", JETTY, marks=pytest.mark.java)]
)
def test_the_defaults_in_node_yaml_are_values_that_the_program_takes(name: str, program: list[str]) -> None:
    knobs = {knob: entry.default for knob, entry in kind(name).knobs.items()}
    with server(program, **{**knobs, "HTTP_PORT": "0"}) as (_, port):
        assert port > 0
