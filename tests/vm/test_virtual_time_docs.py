"""docs/virtual-time.md says what the command does: its options exist, its JSON has these keys and no others.

Its scenario is run by test_vm_determinism.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench.virtual import GOALS
from orchestrator.report.json.seeds import to_json
from orchestrator.system import resources
from orchestrator.vm.seed import variation
from tests.analysis.test_seed_variation import FLAKY
from tests.conftest import Simctl

PAGE = (resources.ROOT / "docs" / "virtual-time.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:^\$? ?|`)simctl ((?:vm )?[a-z]+)([^`\n#]*)", PAGE, re.MULTILINE)))


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from keys(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from keys(inside)


def test_every_key_of_the_document_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("| key | what it is |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(keys(to_json(replace(FLAKY, not_run={5: "why"}))))


@pytest.mark.parametrize("verb", sorted({verb for verb, _ in COMMANDS}))
def test_every_command_on_the_page_exists_with_its_options(simctl: Simctl, verb: str) -> None:
    done = simctl(*verb.split(), "--help", env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    named = {option for word, rest in COMMANDS if word == verb for option in re.findall(r"--[a-z-]+", rest)}
    assert named <= set(re.findall(r"--[a-z-]+", done.stdout))


def test_what_a_seed_changes_is_what_the_page_says() -> None:
    found = [variation(seed) for seed in range(200)]
    said = re.search(r"idles up to (\d+) s", PAGE)
    assert said and int(said[1]) - 5 < max(one.delay for one in found) < int(said[1]) + 1
    assert {2**one.shift for one in found} == {1, 2} and "1 or 2 ns for an instruction" in PAGE


def test_the_table_has_every_scenario_with_a_goal() -> None:
    table = PAGE.partition("## Numbers")[2]
    assert [name for name in GOALS if name not in table] == []
