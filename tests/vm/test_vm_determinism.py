"""Same input, same recording; another seed, another recording, and what hangs on it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.analysis.compare.determinism import Cause, compare
from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.cli.determinism import determinism, excerpt
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.verdict import Outcome
from orchestrator.report.words.determinism import CAUSES
from orchestrator.run.judge import judge_folder
from orchestrator.run.task import Done, Task
from orchestrator.system import resources
from orchestrator.vm.seed import variation
from tests.conftest import Simctl
from tests.support.report_samples import report

PAGE = (resources.ROOT / "docs" / "virtual-time.md").read_text()
SEEDS = [1, 2, 3, 4]


# -- real guests -------------------------------------------------------------------------------------------------------


@pytest.mark.vm
@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", ["idle-close", "keepalive-probes"])  # ten seconds, and two hours
def test_two_runs_are_the_same_to_the_last_byte(simctl: Simctl, tmp_path: Path, name: str) -> None:
    done = simctl("determinism", name, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(rf"{name}: two runs, \d+ events, byte-identical\n", done.stdout)
    first, second = sorted((tmp_path / "runs").iterdir())
    recording = (first / "events.jsonl").read_bytes()
    assert recording == (second / "events.jsonl").read_bytes()
    assert b'"ev":"state"' in recording and b'"outcome":"done"' in recording
    texts = sorted(path.relative_to(first) for path in first.rglob("*.txt"))
    assert texts, "the same holds for what ss and netstat printed"
    assert all((first / text).read_bytes() == (second / text).read_bytes() for text in texts)


@pytest.mark.vm
@pytest.mark.timeout(420)
def test_seeds_show_which_expectation_is_flaky(simctl: Simctl, tmp_path: Path) -> None:
    """The example of the page: TIME_WAIT takes 60 s and what the timer wheel adds, which hangs on when it begins."""
    scenario = example(tmp_path)
    done = simctl("run", scenario, "--vary-seed", str(len(SEEDS)), "-j", "2", "--format", "json", timeout=200)
    assert done.stdout, done.stderr
    (variation,) = json.loads(done.stdout)
    steady, minute = variation["expectations"]
    assert steady["outcomes"] == {"pass": len(SEEDS), "unknown": 0, "fail": 0}
    (fact,) = minute["facts"]
    seconds = {seed: item["value"]["least"] for item in fact["actual"] for seed in item["seeds"]}
    assert sorted(seconds) == SEEDS
    assert all(60 <= value < 62.1 for value in seconds.values()), seconds
    assert max(seconds.values()) - min(seconds.values()) > 0.05, "the seeds moved the timer in the wheel"
    assert minute["outcomes"]["pass"] == sum(value <= 60.5 for value in seconds.values())

    folders = {run["seed"]: RunFolder.open(tmp_path / run["folder"]) for run in variation["runs"]}
    assert len({ports(folder) for folder in folders.values()}) == len(SEEDS), "and the ports"

    # Judged again by what lies between the seeds, it is flaky for sure.
    between = sum(sorted(seconds.values())[:2] + sorted(seconds.values())[-2:]) / 4
    for folder in folders.values():
        folder.scenario.write_text(folder.scenario.read_text().replace("60.5s", f"{between:.3f}s"))
    again = (
        SeedVariation("minute", "", {seed: judge_folder(folder) for seed, folder in folders.items()})
        .expectations[1]
        .tally
    )
    assert again.flaky
    assert again.count(Outcome.PASS) == sum(value <= between for value in seconds.values())

    once_more = simctl("run", scenario, "--seed", "3", "-o", tmp_path / "again", timeout=200)
    assert once_more.returncode in (0, 1), once_more.stderr
    (run,) = (tmp_path / "again").iterdir()
    assert run.name.endswith("-minute-seed3")
    assert (run / "events.jsonl").read_bytes() == folders[3].events.read_bytes(), "a seed gives the same run each time"


def example(folder: Path) -> Path:
    """The scenario on the page, beside the topology that it names."""
    found = re.search(r"```yaml\n(name: minute\n.*?)```", PAGE, re.DOTALL)
    assert found
    shutil.copytree(resources.COMPOSE, folder / "compose")
    path = folder / "minute.yaml"
    path.write_text(found[1])
    return path


def ports(folder: RunFolder) -> tuple[str, ...]:
    return tuple(
        event["local"] for event in map(json.loads, folder.events.read_text().splitlines()) if event["ev"] == "request"
    )


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "idle-close", "--seed", "1", "-r", "netns"], "a seed changes nothing under netns"),
        (["run", "idle-close", "--vary-seed", "2", "-r", "netns"], "a seed changes nothing under netns"),
        (["run", "idle-close", "--vary-seed", "2", "-f", "junit"], "--vary-seed has no JUnit report"),
        (["run", "idle-close", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["determinism", str(resources.SCENARIOS)], "this takes one at a time"),
        (["determinism", "nowhere"], "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    simctl: Simctl, tmp_path: Path, words: list[str], said: str
) -> None:
    done = simctl(*words)
    assert done.returncode == 2, done.stderr
    assert " ".join(done.stderr.split()).count(said) == 1
    assert not (tmp_path / "runs").exists()


# -- the comparison ----------------------------------------------------------------------------------------------------

LINES = [
    b'{"t":0,"ev":"begin","format":1}',
    b'{"t":1.5,"ev":"socket","node":"client","local":"198.18.0.2:40000","state":"ESTABLISHED","pid":7}',
    b'{"t":2.5,"ev":"request","node":"client","response_headers":{"Date":"one"}}',
    b'{"t":3.5,"ev":"end","outcome":"done"}',
]


def recording(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("line", "old", "new", "fields", "cause"),
    [
        (4, b"3.5", b"3.500001", ("t",), "the same happened at another time"),
        (2, b":40000", b":40002", ("local",), "other ports"),
        (2, b":7", b":8", ("pid",), "another number of processes"),
        (3, b"one", b"two", ("response_headers.Date",), "a program said something else"),
        (2, b"ESTABLISHED", b"CLOSE_WAIT", (), "another event came here"),
    ],
)
def test_the_first_difference_is_named_and_explained(
    line: int, old: bytes, new: bytes, fields: tuple[str, ...], cause: str
) -> None:
    changed = [text.replace(old, new) if place == line else text for place, text in enumerate(LINES, 1)]
    found = compare(recording(*LINES), recording(*changed))
    assert found is not None
    assert (found.line, found.lines, found.fields) == (line, 1, fields)
    assert found.first.encode() == LINES[line - 1] and found.second.encode() == changed[line - 1]
    assert CAUSES[found.cause].startswith(cause)


def test_a_recording_that_ends_early_differs_where_it_ends() -> None:
    for one, other in ((LINES, LINES[:2]), (LINES[:2], LINES)):
        found = compare(recording(*one), recording(*other))
        assert found is not None
        assert (found.line, found.lines) == (3, 2)
        assert found.cause is Cause.ENDED
    only_the_last_newline = compare(recording(*LINES), recording(*LINES)[:-1])
    assert only_the_last_newline is not None and only_the_last_newline.line == 4


def test_another_snapshot_is_the_cause_of_everything() -> None:
    changed = recording(*LINES).replace(b"40000", b"40001")
    found = compare(recording(*LINES), changed, same_snapshot=False)
    assert found is not None and found.cause is Cause.SNAPSHOT
    assert compare(changed, changed, same_snapshot=False) is None


def test_the_command_says_where_two_recordings_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folders = [RunFolder.create(tmp_path, "made") for _ in range(2)]
    for folder, port in zip(folders, (b":40000", b":40002"), strict=True):
        folder.scenario.touch()
        folder.events.write_bytes(recording(*LINES).replace(b":40000", port))
        folder.write_environment({"virtual": {"snapshot": "snapshot-1"}})

    def pretend(tasks: Sequence[Task], jobs: int, progress: object, done: Done) -> None:
        for place, task in enumerate(tasks):
            assert (task.options.runtime, task.options.seed) == ("vm", None)
            done(place, replace(report(), folder=folders[place].path))

    monkeypatch.setattr("orchestrator.run.batch.run_tasks", pretend)
    with pytest.raises(SystemExit) as ended:
        determinism("idle-close", [], tmp_path, allow_exec=False, ready_timeout="30s", seed=None, jobs=1, quiet=True)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert said.startswith("idle-close: the recordings part in line 2; lines that differ: 1\n")
    for folder, shown in zip(folders, (":40000", ":40002"), strict=True):
        assert f"{folder.events}:2\n" in said and shown in said
    assert "what differs: local\n" in said and "what may cause it: other ports" in said


def test_of_a_long_line_the_part_that_differs_is_shown() -> None:
    line = "x" * 5000 + "HERE" + "y" * 5000
    assert "HERE" in excerpt(line, 5000) and len(excerpt(line, 5000)) < 200
    assert excerpt("short", 2) == "short"
    assert excerpt("", 0) == "(no such line)"


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_a_seed_always_means_the_same_and_another_one_something_else() -> None:
    found = [variation(seed) for seed in range(50)]
    assert found == [variation(seed) for seed in range(50)]
    assert len({one.entropy for one in found}) == len({one.delay for one in found}) == 50
    assert {one.shift for one in found} == {0, 1}
    assert all(0 <= one.delay <= 131.072 for one in found)
