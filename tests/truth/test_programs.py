"""Programs by seed: the same each time, data through and through, legal scenarios; and made smaller."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.truth.programs import FEATURES, Program, generate
from tests.truth.render import INTERPRETER, write
from tests.truth.shrink import shrink


@pytest.mark.parametrize("seed", range(40))
def test_a_seed_is_a_program(seed: int) -> None:
    program = generate(seed)
    assert program == generate(seed)
    assert json.loads(json.dumps(program)) == program
    names = {*program["nodes"], *(["nat"] if program["nat"] else [])}
    assert {step["node"] for step in program["steps"] if "node" in step} <= names
    assert 2 <= len(names) <= 4


def test_every_feature_comes_up_and_can_be_left_out() -> None:
    assert {feature for seed in range(200) for feature in generate(seed)["features"]} == set(FEATURES)
    assert not any({"nat", "link"} & set(generate(seed, without=("nat", "link"))["features"]) for seed in range(200))


@pytest.mark.processes
@pytest.mark.parametrize("seed", [3, 11, 26])
def test_a_program_is_a_scenario(seed: int, tmp_path: Path) -> None:
    path = write(generate(seed), tmp_path / "case")
    command = [sys.executable, "-m", "orchestrator", "validate", "--allow-exec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.processes
def test_the_interpreter_performs_a_script() -> None:
    """On loopback, by itself: what it says of an unknown socket shows that it went on after it."""
    script: list[Any] = [
        ["listen", "l", 0, 8, 0],
        ["close", "nobody"],
        ["connect", "c", "127.0.0.1", 1, {"timeout": 0.5}],
        ["sleep", 0.01],
        ["exit"],
    ]
    command = [sys.executable, "-c", INTERPRETER.read_text(encoding="utf-8"), "test", "0", json.dumps(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "close KeyError('nobody')",
        "connect ConnectionRefusedError(111, 'Connection refused')",
    ]


def test_shrinking_keeps_what_shows_it_and_nothing_else() -> None:
    """The finding needs a link step and one `shut`: all else goes, but for what every program has."""
    program = next(
        p for p in map(generate, range(3000)) if _shows(p) and len(p["steps"]) > 6 and str(p).count("'shut'") > 1
    )
    ran: list[Program] = []

    def show(group: Sequence[Program]) -> list[bool]:
        ran.extend(group)
        return [_shows(candidate) for candidate in group]

    small = shrink(program, show, rounds=200)
    assert _shows(small)
    assert [step["do"] for step in small["steps"] if step["do"] != "run"] == ["link"]
    assert str(small).count("'shut'") == 1
    assert all(not node["sysctls"] for node in small["nodes"].values())
    assert len(ran) < 2000


def _shows(program: Program) -> bool:
    return any(step["do"] == "link" for step in program["steps"]) and "'shut'" in str(program["steps"])
