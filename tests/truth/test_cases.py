"""Programs that simctl was once wrong about, each shrunk to what matters: simctl must say nothing false of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.truth.held_back import CASES_HELD_BACK
from tests.truth.lab import Lab, examine
from tests.truth.render import write

_CASES = {path.stem: path for path in sorted(Path(__file__).with_name("cases").glob("*.json"))}


def test_what_is_held_back_is_there() -> None:
    assert set(CASES_HELD_BACK) <= set(_CASES)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_simctl_says_nothing_false_of_what_it_once_was_wrong_about(tmp_path: Path, as_root: None) -> None:
    programs = {name: json.loads(path.read_text()) for name, path in _CASES.items() if name not in CASES_HELD_BACK}
    scenarios = {write(program, tmp_path / name): name for name, program in programs.items()}
    wrong: list[str] = []
    for scenario, report in Lab(tmp_path / "runs").run(list(scenarios)).items() if scenarios else ():
        assert not isinstance(report, str), report
        found = examine(report, Path(report["folder"]))
        assert not found.unexplained
        wrong += [f"{scenarios[scenario]}: {finding}" for finding in found.findings]
    assert not wrong, "\n".join(wrong)
