"""Recordings that an older simctl made: format 1, in which the recorder had decided what the kernel's trace means.

tests/data/format1 has three runs on netns as they were written then, without what `ss` printed and without logs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.history.build import history_of
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.reader import read_events
from orchestrator.run.judge import judge_folder
from orchestrator.system import resources

RUNS = resources.ROOT / "tests" / "data" / "format1"
NAMES = ("session-close", "idle-close", "nat-resets")


@pytest.fixture(params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    return RunFolder.open(Path(shutil.copytree(RUNS / request.param, tmp_path / request.param)))


def test_verify_says_what_it_said_then(run: RunFolder) -> None:
    then = json.loads(run.verdict.read_text())
    report = judge_folder(run)
    assert report.outcome.value == then["outcome"] == "pass"
    now = [(one.that, one.outcome.value, [(f.node, f.outcome.value) for f in one.facts]) for one in report.verdicts]
    assert now == [
        (one["that"], one["outcome"], [(fact["node"], fact["outcome"]) for fact in one["facts"]])
        for one in then["verdicts"]
    ]


def test_its_trace_is_believed(run: RunFolder) -> None:
    history = history_of(run)
    assert history.begin["format"] == 1
    assert history.exact, history.notes
    assert not history.notes


def test_what_the_nat_sent_is_still_known() -> None:
    (reset,) = history_of(RunFolder.open(RUNS / "nat-resets")).resets
    assert reset["node"] == "nat"


def test_a_line_of_its_trace_needs_its_node(run: RunFolder) -> None:
    lines = run.events.read_text().splitlines(keepends=True)
    number, state = next((n, line) for n, line in enumerate(lines, 1) if '"ev":"state"' in line)
    lines[number - 1] = json.dumps({key: value for key, value in json.loads(state).items() if key != "node"}) + "\n"
    run.events.write_text("".join(lines))
    with pytest.raises(InputError, match="state: the field `node` is missing") as caught:
        list(read_events(run.events))
    assert caught.value.place is not None
    assert caught.value.place.line == number
