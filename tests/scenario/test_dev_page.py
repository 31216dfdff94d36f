"""docs/dev/steps.md: its verb is taken from the page into a copy of simctl, and everything knows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.scenario.steps import STEPS
from orchestrator.system import resources
from tests.support.devpage import Copy, DevPage

PAGE = DevPage(resources.ROOT / "docs" / "dev" / "steps.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    made = Copy(tmp_path_factory.mktemp("simctl"))
    made.take(PAGE)
    return made


def test_one_file_and_one_line_are_all_there_is_to_it() -> None:
    assert [name for name in PAGE.files if name.endswith(".py")] == ["orchestrator/scenario/steps/freeze.py"]
    assert [len(change.added) for change in PAGE.changes.values()] == [1]


@pytest.mark.processes
def test_the_code_of_the_page_is_as_clean_as_ours(copy: Copy) -> None:
    code = [name for name in (*PAGE.files, *PAGE.changes) if name.endswith(".py")]
    copy.check("ruff", "check", *code)
    copy.check("ruff", "format", "--check", *code)


@pytest.mark.processes
def test_the_language_has_it(copy: Copy) -> None:
    schema = json.loads(copy.simctl("schema").stdout)
    assert schema["$defs"]["Step"]["properties"]["freeze"]["$ref"] == "#/$defs/Freeze"
    assert {"required": ["freeze"]} in schema["$defs"]["Step"]["oneOf"]
    copy.simctl("validate", "freeze.yaml")


@pytest.mark.processes
def test_the_reference_page_has_it(copy: Copy) -> None:
    page = copy.check("tools.reference").stdout
    assert "| `freeze` | mapping | SIGSTOP to the node's program, and SIGCONT after some time |" in page
    assert "### freeze\n\nStop a node's program, and let it go on after some time." in page
    assert "| `time` | duration | 1s | how long its program hangs |" in page
    assert "    freeze: {node: server, time: 2s}\n" in page


@pytest.mark.processes
@pytest.mark.parametrize(
    ("value", "says", "hint"),
    [
        ("{node: sever}", "no node is called sever", "did you mean server?"),
        ("{node: server, time: 0}", "`time`: must be above 0", ""),
        ("{node: server, tiem: 1s}", "unknown key tiem in freeze", "did you mean time?"),
        ("server", "`freeze`: expected a mapping", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place(copy: Copy, tmp_path: Path, value: str, says: str, hint: str) -> None:
    text = (copy.folder / "freeze.yaml").read_text().replace("{node: server, time: 300ms}", value)
    scenario = tmp_path / "wrong.yaml"
    scenario.write_text(text.replace("compose/", f"{copy.folder}/compose/"))
    done = copy.simctl("validate", scenario, status=2)
    assert f"{scenario}:8:" in done.stderr
    assert says in done.stderr
    assert hint in done.stderr


@pytest.mark.netns
def test_it_runs_and_the_ladder_tells_it(copy: Copy) -> None:
    done = copy.simctl(*PAGE.command("simctl run"), "-o", "runs", "--format", "json")
    assert json.loads(done.stdout)["outcome"] == "pass"
    assert "hang: freeze server for 300ms" in done.stderr
    (run,) = (copy.folder / "runs").iterdir()
    happened = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["what"] for event in happened if event["ev"] == "node" and event["node"] == "server"][-2:] == [
        "frozen",
        "thawed",
    ]
    ladder = copy.simctl("show", run, "--conn", "c1").stdout
    assert ladder.index("server is frozen") < ladder.index("server is thawed")


# -- the verbs that are there ----------------------------------------------------------------------------------------


def test_no_two_verbs_record_the_same_word_for_different_things() -> None:
    """A ladder could not tell which of them it was; `restart` does what `stop`, `kill` and `start` do."""
    recorded = {effect for step in STEPS for effect in step.effects}
    assert len({effect.recorded for effect in recorded}) == len(recorded)


def test_what_old_recordings_have_is_still_known() -> None:
    """Recordings of format 1 have these words for what befell a node."""
    known = {effect.recorded: (effect.words, effect.reachable) for step in STEPS for effect in step.effects}
    of_format_1 = {
        "stopped": ("stopped", None),
        "killed": ("killed", None),
        "paused": ("paused", None),
        "resumed": ("resumed", None),
        "link down": ("cut off", False),
        "link up": ("linked again", True),
        "exec": ("", None),
    }
    assert of_format_1.items() <= known.items()
