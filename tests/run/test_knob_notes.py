"""A knob that somebody sets on a node whose kind does not have it is not passed over without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.kinds.registry import kind_names, load_kinds
from orchestrator.run.knobnotes import knob_notes
from orchestrator.system.resources import ROOT
from orchestrator.topology.compose.file import load_topology
from tests.conftest import Simctl

CLIENT_SERVER = ROOT / "compose" / "client-server.yaml"


def notes(path: Path, **variables: str) -> list[str]:
    return [note.text for note in knob_notes(load_topology(path, variables, kinds=kind_names()), load_kinds())]


def written(folder: Path, environment: str, image: str = "simctl/nginx") -> Path:
    path = folder / "compose.yaml"
    path.write_text(f"services: {{web: {{image: {image}, environment: {environment}}}}}\n")
    return path


def test_the_note_names_the_variable_the_node_and_the_kind() -> None:
    assert notes(CLIENT_SERVER, SERVER="nginx", FAULT="never-read") == [
        "FAULT has no effect on server: the kind nginx has no such knob"
    ]


@pytest.mark.parametrize(
    "variables", [{}, {"SERVER": "nginx"}, {"SERVER": "nginx", "FAULT": ""}, {"FAULT": "never-read"}]
)
def test_no_note_where_nobody_set_it_or_the_kind_has_it(variables: dict[str, str]) -> None:
    assert notes(CLIENT_SERVER, **variables) == []


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
    assert notes(written(tmp_path, environment)) == found


def test_replicas_have_one_note_and_foreign_images_none(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("services: {web: {image: simctl/nginx, environment: {LEAK: true}, deploy: {replicas: 3}}}\n")
    assert len(notes(path)) == 1
    assert notes(written(tmp_path, "{LEAK: true}", image="busybox")) == []


def test_validate_prints_it(simctl: Simctl) -> None:
    done = simctl("validate", "idle-close", "--set", "SERVER=nginx", "--set", "FAULT=never-read")
    assert done.returncode == 0, done.stderr
    assert "client-server.yaml:21:14: FAULT has no effect on server: the kind nginx has no such knob" in done.stdout
