"""A short form of `make torture`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.run.options import Options
from orchestrator.run.prepare import prepare
from orchestrator.scenario.steps import VERBS
from tests.torture import killing, mutants

SEED = 20261126


def test_the_museum_has_every_verb_and_every_fact() -> None:
    scenario = prepare(mutants.MUSEUM, Options(allow_exec=True)).scenario
    assert {step.verb for step in scenario.steps} == set(VERBS)
    named = {fact for expectation in scenario.expect for facts in expectation.nodes.values() for fact in facts.named()}
    assert {"conntrack", "counters", "bytes", "duration", "raw", "zero_windows", "keepalive_probes"} <= named


@pytest.mark.timeout(240)
def test_files_that_are_a_little_wrong(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    scenarios = mutants.exhibits()
    found = [mutants.try_files(chance.choice(scenarios), tmp_path, chance) for _ in range(150)]
    assert not any(found), [problem for problem in found if problem]


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.timeout(300)
def test_recordings_that_are_a_little_wrong(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    run = mutants.a_recording(tmp_path / "whole")
    found = [mutants.try_recording(run, tmp_path / "mutant", chance) for _ in range(150)]
    assert not any(found), [problem for problem in found if problem]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=pytest.mark.netns),
        pytest.param("vm", marks=pytest.mark.vm),
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("requests", "origin")]),
    ],
)
def test_nothing_is_left_of_a_run_that_was_killed(tmp_path: Path, runtime: str) -> None:
    chance = random.Random(SEED)
    victims = killing.VICTIMS[runtime]
    found = [
        killing.kill_one(runtime, victim, tmp_path / f"{victim}-{number}", chance)
        for number in range(2)
        for victim in victims
    ]
    assert not [one for one in found if one.wrong], found
    assert any(one.hit for one in found)
