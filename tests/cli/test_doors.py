"""Text of files, nodes and servers on its way to the terminal: whatever it is, it steers nothing. Every way out goes
through the two doors of cli/streams.py."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from orchestrator.text.safe import harmless
from tests.conftest import Simctl

ESCAPE = "\x1b]0;evil\x07\x1b[2J\u202e"
STEERS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]|\x1b(?!\[[0-9;]*m)")
AROUND = re.compile(r"(sys\.(stderr|stdout)\.(buffer\.)?write|os\.write\((1|2),|traceback\.print_)")
COMPOSE = "services:\n  client: {image: simctl/requests, networks: [lab]}\nnetworks: {lab: {internal: true}}\n"
SCENARIO = "name: door\ntopology: compose.yaml\nsteps: [{wait: 10ms}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "door.yaml").write_text(SCENARIO)
    return tmp_path


def assert_harmless(simctl: Simctl, folder: Path, *arguments: str) -> str:
    done = simctl(*arguments, cwd=folder, timeout=60)
    said = done.stdout + done.stderr
    assert "evil" in said, "it was to be shown"
    assert not STEERS.search(said), repr(STEERS.search(said))
    return said


def test_what_colours_is_kept_and_what_steers_is_not() -> None:
    assert harmless("a\tb\n\x1b[1;31mred\x1b[0m") == "a\tb\n\x1b[1;31mred\x1b[0m"
    assert harmless(f"x{ESCAPE}") == "x\\x1b]0;evil\\x07\\x1b[2J\\u202e"
    assert harmless("\x1b[31") == "\\x1b[31"
    assert harmless("\ud800\x9b2J\r") == "\\ud800\\x9b2J\\r"


@pytest.mark.parametrize(
    "text",
    [
        SCENARIO.replace("compose.yaml", json.dumps(f"{ESCAPE}.yaml")),
        SCENARIO.replace("name: door", f"name: {json.dumps(ESCAPE)}"),
        SCENARIO + f"{json.dumps(ESCAPE)}: 1\n",
        SCENARIO + f"set: {{evil: {json.dumps(ESCAPE)}}}\n",
    ],
    ids=["topology", "name", "key", "value"],
)
def test_words_of_a_scenario(simctl: Simctl, folder: Path, text: str) -> None:
    (folder / "door.yaml").write_text(text)
    assert_harmless(simctl, folder, "validate", "door.yaml")


def test_words_of_a_topology(simctl: Simctl, folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE.replace("simctl/requests", json.dumps(f"simctl/{ESCAPE}")[1:-1]))
    (folder / "compose.yaml").write_text(COMPOSE.replace("client:", f"{json.dumps(ESCAPE)}:"))
    assert_harmless(simctl, folder, "validate", "door.yaml")


def test_names_of_files(simctl: Simctl, folder: Path) -> None:
    (folder / "door.yaml").rename(folder / "evil\x1b[2J.yaml")
    assert_harmless(simctl, folder, "validate", ".")
    (folder / "evil\x1b[2J.yaml").write_text("steps: 1\n")
    assert_harmless(simctl, folder, "validate", ".")
    assert_harmless(simctl, folder, "run", f"{ESCAPE}.yaml")
    assert_harmless(simctl, folder, "report", ESCAPE)


@pytest.mark.netns
def test_commands_in_progress_lines_and_recordings(simctl: Simctl, folder: Path) -> None:
    step = f"steps: [{{exec: {{node: client, command: [echo, {json.dumps(ESCAPE)}]}}}}]\n"
    (folder / "door.yaml").write_text(SCENARIO.replace("steps: [{wait: 10ms}]\n", step))
    assert_harmless(simctl, folder, "run", "door.yaml", "-r", "netns", "--allow-exec", "-o", "runs")
    (run,) = (folder / "runs").iterdir()
    events = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(events.replace('"node":"client"', f'"node":{json.dumps(ESCAPE)}', 1))
    assert_harmless(simctl, folder, "report", str(run))
    (run / "events.jsonl").write_text(events + json.dumps({"t": 0, "ev": "note", "text": ESCAPE}) + "\n")
    for verb in (["report"], ["verify"], ["report", "-f", "json"], ["report", "-f", "junit"]):
        simctl(*verb, str(run), cwd=folder)
    assert_harmless(simctl, folder, "verify", str(run))


def test_nobody_goes_around_the_doors() -> None:
    """Only the doors write to a standard stream by themselves."""
    root = Path(__file__).parents[2] / "orchestrator"
    allowed = {"cli/streams.py", "__main__.py"}
    around = []
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            text = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and AROUND.match(text):
                around.append(f"{name}:{node.lineno}: {text[:60]}")
    # The probe, the daemon and the guest's agent speak to simctl on their standard streams, not to people.
    speak = ("observe/", "lab/standing/daemon.py", "run/virtual/", "runtimes/", "vm/", "measure/prober.py")
    assert not [one for one in around if one.partition(":")[0] not in allowed and not one.startswith(speak)]
