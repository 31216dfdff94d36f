"""docs/dev/facts.md: its fact is taken from the page into a copy of simctl, and a stored run is judged by it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.judge.facts import EVALUATIONS, check_complete
from orchestrator.judge.facts.evaluation import AtInstants
from orchestrator.scenario.facts import FACTS, FactKind
from orchestrator.system import resources
from tests.support.devpage import Copy, DevPage

PATH = resources.ROOT / "docs" / "dev" / "facts.md"
PAGE = DevPage(PATH)
RUN = resources.ROOT / "tests" / "data" / "format1" / "session-close"
MEANING, EVALUATION = "orchestrator/scenario/facts/reused.py", "orchestrator/judge/facts/reused.py"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A stored run whose scenario expects what the page's example does."""
    folder = Path(shutil.copytree(RUN, tmp_path / "run"))
    (expectation,) = re.findall(r"```yaml\n(.*?)```", PATH.read_text(), re.DOTALL)
    scenario = folder / "scenario.yaml"
    scenario.write_text(scenario.read_text().rstrip() + "\n\n" + expectation)
    return folder


@pytest.mark.processes
def test_the_page_s_fact_judges_a_stored_run(tmp_path: Path, run: Path) -> None:
    copy = Copy(tmp_path / "copy")
    copy.take(PAGE)
    assert (set(PAGE.files), PAGE.changes) == ({MEANING, EVALUATION}, {}), "a fact is two files"
    copy.simctl("verify", run)
    (verdict,) = [
        verdict
        for verdict in json.loads(copy.simctl("report", run, "--format", "json").stdout)["verdicts"]
        if verdict["that"] == "all but the first request find an open connection"
    ]
    (fact,) = verdict["facts"]
    assert (fact["fact"], fact["outcome"]) == ("reused", "pass")
    assert fact["actual"] == {"least": 4, "most": 4, "unit": "request"}
    assert [item["nth"] for item in fact["evidence"]] == [2, 3, 4, 5]
    assert "reused" in copy.simctl("schema").stdout


@pytest.mark.processes
def test_a_fact_that_nobody_can_judge_ends_simctl(tmp_path: Path, run: Path) -> None:
    copy = Copy(tmp_path / "copy")
    copy.take(PAGE)
    (copy.folder / EVALUATION).unlink()
    for command in (["validate", "idle-close"], ["verify", run]):
        refused = copy.simctl(*command, status=3)
        assert refused.stderr.startswith(
            "simctl: the facts of simctl are not complete: reused has a meaning and no evaluation\n"
        )
        assert "Traceback" not in refused.stderr
    recorded = copy.simctl("run", "session-close", "--runtime", "netns", status=3)
    assert "what was recorded is in" in recorded.stderr
    assert "reused has a meaning and no evaluation" in recorded.stderr
    assert "Traceback" not in recorded.stderr


@pytest.mark.processes
def test_without_the_two_files_there_is_no_such_fact(tmp_path: Path, run: Path) -> None:
    copy = Copy(tmp_path / "copy")
    assert "unknown fact reused of the node client" in copy.simctl("verify", run, status=2).stderr


def test_each_fact_is_evaluated_as_its_kind_is_asked() -> None:
    """Gauges and queues at instants, the others over a window."""
    check_complete(FACTS, EVALUATIONS)
    for name, fact in FACTS.items():
        of_instants = fact.kind in (FactKind.GAUGE, FactKind.QUEUE)
        assert isinstance(EVALUATIONS[name], AtInstants) is of_instants, name


def test_what_only_one_side_knows_is_named() -> None:
    with pytest.raises(
        EnvironmentFailure, match=r"b has a meaning and no evaluation; c has an evaluation and no meaning"
    ):
        check_complete(["a", "b"], ["a", "c"])
