"""docs/dev/kinds.md: its kind is taken from the page into a copy of simctl, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.kinds.registry import kind
from orchestrator.system import resources
from tests.support.devpage import Copy, DevPage

PAGE = DevPage(resources.ROOT / "docs" / "dev" / "kinds.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    made = Copy(tmp_path_factory.mktemp("simctl"))
    made.take(PAGE)
    return made


def test_a_folder_is_all_there_is_to_it(copy: Copy) -> None:
    folders = {Path(name).parent.as_posix() for name in PAGE.files} - {"."}
    assert folders == {"nodes/http10"}
    assert PAGE.changes == {}
    assert kind("http10", copy.folder / "nodes").role == "server"


@pytest.mark.processes
def test_the_command_knows_it(copy: Copy) -> None:
    assert "HTTP_PORT=8080" in copy.simctl(*PAGE.command("simctl nodes")).stdout


@pytest.mark.netns
def test_its_scenario_passes(copy: Copy) -> None:
    report = json.loads(copy.simctl(*PAGE.command("simctl run"), "--format", "json").stdout)
    assert report["outcome"] == "pass"


@pytest.mark.netns
def test_a_wrong_knob_is_one_line(copy: Copy, tmp_path: Path) -> None:
    compose = (copy.folder / "compose/client-server.yaml").read_text()
    (tmp_path / "wrong.yaml").write_text(compose.replace("FAULT_AFTER: ", "HTTP_PORT: none\n      FAULT_AFTER: "))
    refused = copy.simctl("up", tmp_path / "wrong.yaml", "-r", "netns", "--set", "SERVER=http10", status=2)
    assert "HTTP_PORT of the kind http10: expected a whole number" in refused.stderr
