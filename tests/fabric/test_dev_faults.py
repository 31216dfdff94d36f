"""docs/dev/faults.md: who follows it has a fault that a real node suffers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.devpages import follow
from tests.support.vanishing import passed


@pytest.mark.netns
def test_a_fault_that_the_page_adds_is_applied_and_healed(tmp_path: Path) -> None:
    copy = follow("faults.md", tmp_path)
    run_it = ("run", "cable.yaml", "--runtime", "netns", "--allow-exec", "-o", "runs", "--format", "json")
    passed(copy.simctl(*run_it))
    (run,) = (copy.folder / "runs").iterdir()
    assert "NO-CARRIER" in (run / "logs" / "exec-look-server.txt").read_text(), "the node's kernel saw nothing"
    happened = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    cables = [event["what"] for event in happened if event["ev"] == "node" and "cable" in event["what"]]
    assert cables == ["cable out", "cable in"]
    assert "server is unplugged" in copy.simctl("show", run).stdout


@pytest.mark.netns
def test_a_fault_that_nobody_listed_ends_the_run_with_a_message(tmp_path: Path) -> None:
    copy = follow("faults.md", tmp_path)
    listed = copy.folder / "orchestrator" / "fabric" / "faults" / "__init__.py"
    listed.write_text(listed.read_text().replace("from orchestrator.fabric.faults.cable import Cable as Cable\n", ""))
    done = copy.simctl("run", "cable.yaml", "--runtime", "netns", "--allow-exec", "-o", "runs")
    assert done.returncode == 3
    assert "no fault is called cable" in done.stderr
    assert "Traceback" not in done.stderr
