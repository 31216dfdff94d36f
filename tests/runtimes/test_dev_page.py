"""docs/dev/runtimes.md: its runtime is taken from the page into a copy of simctl, registered by its line, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.runtimes.registry import abilities
from orchestrator.system import resources
from tests.support.devpage import Copy, DevPage

PAGE = DevPage(resources.ROOT / "docs" / "dev" / "runtimes.md")
REGISTRY = "orchestrator/runtimes/registry.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    made = Copy(tmp_path_factory.mktemp("simctl"))
    made.take(PAGE)
    return made


def test_one_line_is_all_that_is_not_in_its_folder() -> None:
    assert {Path(name).parent.as_posix() for name in PAGE.files} == {"orchestrator/runtimes/unshare"}
    assert [(name, len(change.added)) for name, change in PAGE.changes.items()] == [(REGISTRY, 1)]


@pytest.mark.processes
def test_it_is_well_typed_and_keeps_the_house_in_order(copy: Copy) -> None:
    copy.check("mypy", "--strict", "orchestrator/runtimes/unshare")
    copy.check("ruff", "check", "orchestrator/runtimes/unshare")
    copy.check("ruff", "format", "--check", "orchestrator/runtimes/unshare")


@pytest.mark.processes
def test_the_command_knows_it(copy: Copy) -> None:
    assert "unshare: nodes are processes that unshare(1) starts" in " ".join(
        copy.simctl("run", "--help").stdout.split()
    )
    wrong = copy.simctl("run", "idle-close", "--runtime", "nowhere", status=2)
    assert "one of auto, netns, docker, vm, unshare" in wrong.stderr


@pytest.mark.netns
def test_a_run_passes_on_it(copy: Copy) -> None:
    found = copy.simctl(*PAGE.command("simctl run"), "--format", "json")
    report = json.loads(found.stdout)
    assert (report["runtime"], report["outcome"]) == ("unshare", "pass")


@pytest.mark.netns
def test_doctor_tries_it_and_a_lab_stands_on_it(copy: Copy) -> None:
    found = json.loads(copy.simctl("doctor", "--json").stdout)
    assert "unshare" in found["runtimes"]
    copy.simctl(*PAGE.command("simctl up"))
    try:
        assert "client" in copy.simctl("ps").stdout
        inside = copy.simctl("exec", "client", "cat", "/etc/hosts").stdout
        assert "server" in inside
    finally:
        copy.simctl(*PAGE.command("simctl down"))


def test_the_readme_has_each_runtime() -> None:
    text = " ".join((resources.ROOT / "README.md").read_text().split())
    for ability in abilities():
        assert f"`--runtime {ability.name}`: {ability.help}" in text
