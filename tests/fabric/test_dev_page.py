"""docs/dev/faults.md: its fault is taken from the page into a copy of simctl, and a real node suffers it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.system import resources
from tests.support.devpage import Copy, DevPage

PAGE = DevPage(resources.ROOT / "docs" / "dev" / "faults.md")
RUN = (*PAGE.command("simctl run"), "-o", "runs")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    made = Copy(tmp_path)
    made.take(PAGE)
    return made


def test_a_line_for_the_fault_and_one_for_its_step_are_all_that_is_changed() -> None:
    assert set(PAGE.changes) == {"orchestrator/fabric/faults/__init__.py", "orchestrator/scenario/steps/__init__.py"}
    assert all(len(change.added) == 1 for change in PAGE.changes.values())


@pytest.mark.netns
def test_it_is_applied_and_healed(copy: Copy) -> None:
    report = json.loads(copy.simctl(*RUN, "--format", "json").stdout)
    assert report["outcome"] == "pass"
    (run,) = (copy.folder / "runs").iterdir()
    assert "NO-CARRIER" in (run / "logs" / "exec-look-server.txt").read_text(), "the node's kernel saw nothing"
    happened = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    cables = [event["what"] for event in happened if event["ev"] == "node" and "cable" in event["what"]]
    assert cables == ["cable out", "cable in"]
    assert "server is unplugged" in copy.simctl("show", run, "--conn", "c1").stdout


@pytest.mark.netns
def test_one_that_nobody_listed_ends_the_run_with_a_message(copy: Copy) -> None:
    name = "orchestrator/fabric/faults/__init__.py"
    (copy.folder / name).write_text((resources.ROOT / name).read_text())
    refused = copy.simctl(*RUN, status=3)
    assert "no fault is called cable" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.processes
def test_the_code_of_the_page_is_as_clean_as_ours(copy: Copy) -> None:
    code = [name for name in (*PAGE.files, *PAGE.changes) if name.endswith(".py")]
    copy.check("ruff", "check", *code)
    copy.check("ruff", "format", "--check", *code)
