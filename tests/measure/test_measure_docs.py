"""docs/measure.md says what the command does: its example is run, its JSON has these keys and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.measure.findings import evaluate
from orchestrator.measure.words import document
from orchestrator.system import resources
from tests.conftest import Simctl
from tests.measure.test_measure_findings import messages

PAGE = (resources.ROOT / "docs" / "measure.md").read_text()


def example() -> list[tuple[list[str], str]]:
    """(words of a command, what it prints)."""
    block = PAGE.partition("```console\n$ simctl ")[2].partition("```")[0]
    parts = [part.partition("\n") for part in block.split("\n$ simctl ")]
    return [(command.split(), printed.rstrip("\n")) for command, _, printed in parts]


def shape(text: str) -> list[str]:
    """Lines, with `#` for numbers and their units: they differ from run to run."""
    without = re.sub(r"less than 0\.1 ms|\d+\.\d+ m?s", "# s", text)
    return re.sub(r"198\.18\.\d+\.\d+", "ADDRESS", without).splitlines()


@pytest.mark.netns
def test_the_example_is_what_is_printed(simctl: Simctl, tmp_path: Path) -> None:
    commands = example()
    assert [words[0] for words, _ in commands] == ["up", "measure", "down"]
    environment = {"SIMCTL_STATE": str(tmp_path / "s")}
    try:
        for words, printed in commands:
            done = simctl(*words, env=environment)
            assert done.returncode == 0, done.stderr
            assert shape(done.stdout) == shape(printed)
            if words[0] == "measure":
                least = re.search(r"after a response +(\d+\.\d+) s", done.stdout)
                assert least and 1.9 < float(least[1]) < 3
    finally:
        simctl("down", "--all", env=environment)


def test_every_key_of_the_document_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("| key | what it is |")[2]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    told = document(evaluate(messages(5.0), asked=9, waited=9.0), target="a", measured_from="b", configured=None)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(told)
    inside = {name for value in told.values() if isinstance(value, dict) for name in value}
    assert [name for name in inside if f"`{name}`" not in table] == []


def test_the_numbers_of_the_page_are_those_of_the_command(simctl: Simctl) -> None:
    text = simctl("measure", "idle", "--help", env={"COLUMNS": "200"}).stdout
    options = set(re.findall(r"--[a-z]+", text))
    assert set(re.findall(r"`(--[a-z]+)", PAGE)) <= options
    for option, default in (("samples", "3"), ("requests", "1100"), ("timeout", "120")):
        assert re.search(rf"--{option}\b[^`]*` \({default}\b", PAGE)
        assert re.search(rf"--{option} [^-]*default: {default}", " ".join(text.split()))
