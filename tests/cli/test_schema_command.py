"""`simctl schema`: what it prints describes what simctl reads and writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from orchestrator.recording.folder import RunFolder
from orchestrator.system import resources
from orchestrator.text.jsondata import plain
from orchestrator.text.yamlsource import load_yaml
from tests.conftest import Simctl
from tests.support.builders import events
from tests.support.schemas import strictly

RUNS = resources.ROOT / "tests" / "data" / "format1"


def printed(simctl: Simctl, *of: str) -> dict[str, Any]:
    done = simctl("schema", *of)
    assert (done.returncode, done.stderr) == (0, "")
    schema: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    return schema


def test_without_a_word_it_is_that_of_scenarios(simctl: Simctl) -> None:
    schema = printed(simctl)
    assert schema == printed(simctl, "scenario")
    Draft202012Validator(schema).validate(load_yaml(resources.SCENARIOS / "idle-close.yaml").data)


@pytest.mark.parametrize("name", ["session-close", "idle-close", "nat-resets"])
def test_the_report_of_a_stored_run_is_as_its_schema_says(simctl: Simctl, tmp_path: Path, name: str) -> None:
    run = shutil.copytree(RUNS / name, tmp_path / "run")
    assert simctl("verify", run).returncode == 0
    report = strictly(printed(simctl, "report"))
    document = json.loads(simctl("report", run, "--format", "json").stdout)
    report.validate(document)
    kept = json.loads((run / "verdict.json").read_text())["verdicts"]
    assert plain(kept, digits=6) == document["verdicts"]
    assert RunFolder.open(Path(run)).read_verdicts()


def test_lines_of_a_recording_are_as_their_schema_says(simctl: Simctl) -> None:
    line = Draft202012Validator(printed(simctl, "events"))
    lines = events("client:41000 > server:8080 {python3/7} | - E CW -")
    for each in lines:
        line.validate(each)
    assert not line.is_valid({"ev": "tick", "t": "late"})


def test_what_has_no_schema_is_said(simctl: Simctl) -> None:
    done = simctl("schema", "verdict")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "simctl: there is no schema of verdict\n  hint: one of scenario, report, events\n"
