"""A knob that somebody sets on a node whose kind does not have it is not passed over without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.kinds.registry import kind_names, load_kinds
from orchestrator.lab.knobs import check_topology
from orchestrator.system.resources import ROOT
from orchestrator.topology.compose.file import load_topology
from tests.conftest import Simctl

CLIENT_SERVER = ROOT / "compose" / "client-server.yaml"


def check(path: Path, /, *varied: str, **variables: str) -> tuple[list[str], list[str]]:
    """The problems and the notes."""
    try:
        notes = check_topology(load_topology(path, variables, kinds=kind_names()), load_kinds(), varied)
    except InputError as error:
        assert all(problem.place is not None and problem.place.column for problem in error.problems)
        return [f"{problem.message}; {problem.hint}".removesuffix("; None") for problem in error.problems], []
    return [], [note.text for note in notes]


def problems(path: Path, **variables: str) -> list[str]:
    return check(path, **variables)[0]


def written(folder: Path, environment: str, image: str = "simctl/nginx") -> Path:
    path = folder / "compose.yaml"
    path.write_text(f"services: {{web: {{image: {image}, environment: {environment}}}}}\n")
    return path


def test_the_problem_names_the_variable_the_node_and_the_kind() -> None:
    said = ["FAULT has no effect on server: the kind nginx has no such knob"]
    assert check(CLIENT_SERVER, SERVER="nginx", FAULT="never-read") == (said, [])


def test_where_a_matrix_varies_the_kind_it_is_a_note() -> None:
    said = ["FAULT has no effect on server: the kind nginx has no such knob"]
    assert check(CLIENT_SERVER, "nginx", SERVER="nginx", FAULT="never-read") == ([], said)


@pytest.mark.parametrize(
    ("kind", "environment", "said"),
    [
        ("origin", "{FAULT: never}", "FAULT of the kind origin: expected none or close-unannounced"),
        ("origin", "{KEEPALIVE_TIMEOUT: 5}", "KEEPALIVE_TIMEOUT of the kind origin: expected a duration such as 5s"),
        ("origin", "{KEEPALIVE_TIMEOUT: 0s}", "KEEPALIVE_TIMEOUT of the kind origin: expected more than 0s"),
        ("gunicorn", "{KEEPALIVE_TIMEOUT: 500ms}", "expected whole seconds, 0 or more"),
        ("gunicorn", "{WORKERS: 0}", "WORKERS of the kind gunicorn: expected a whole number from 1 to 2147483647"),
        ("nginx", "{HTTP_PORT: 65536}", "HTTP_PORT of the kind nginx: expected a whole number from 1 to 65535"),
        ("nginx", "{UPSTREAM: server}", "UPSTREAM of the kind nginx: expected host:port"),
        ("nginx", "{ADVERTISE: maybe}", "ADVERTISE of the kind nginx: expected true or false"),
    ],
)
def test_a_value_that_a_knob_cannot_have_is_refused(tmp_path: Path, kind: str, environment: str, said: str) -> None:
    (problem,) = problems(written(tmp_path, environment, image=f"simctl/{kind}"))
    assert said in problem


@pytest.mark.parametrize(
    "variables", [{}, {"SERVER": "nginx"}, {"SERVER": "nginx", "FAULT": ""}, {"FAULT": "never-read"}]
)
def test_no_problem_where_nobody_set_it_or_the_kind_has_it(variables: dict[str, str]) -> None:
    assert check(CLIENT_SERVER, **variables) == ([], [])


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ("{LEAK: true}", ["LEAK has no effect on web: the kind nginx has no such knob"]),
        ("[LEAK=true]", ["LEAK has no effect on web: the kind nginx has no such knob"]),
        (
            "{KEEPALIVE_TIMOUT: 5s}",
            ["KEEPALIVE_TIMOUT has no effect on web: the kind nginx has no such knob; did you mean KEEPALIVE_TIMEOUT?"],
        ),
        ("{LANG: C.UTF-8}", []),
        ("{KEEPALIVE_TIMEOUT: 5s, LEAK: ''}", []),
        ("{LEAK: '${LEAK:-true}'}", []),
        ("{LEAK: '${LEAK:-${SERVER:-}true}'}", []),
    ],
)
def test_what_the_file_itself_sets(tmp_path: Path, environment: str, found: list[str]) -> None:
    assert problems(written(tmp_path, environment)) == found


def test_replicas_have_one_problem_and_foreign_images_none(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("services: {web: {image: simctl/nginx, environment: {LEAK: true}, deploy: {replicas: 3}}}\n")
    assert len(problems(path)) == 1
    assert problems(written(tmp_path, "{LEAK: true}", image="busybox")) == []


def test_validate_refuses_it(simctl: Simctl) -> None:
    done = simctl("validate", "idle-close", "--set", "SERVER=nginx", "--set", "FAULT=never-read")
    assert done.returncode == 2
    assert "client-server.yaml:24:14: FAULT has no effect on server: the kind nginx has no such knob" in done.stderr
