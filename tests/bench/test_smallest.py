"""Every benchmark still runs: each in its smallest form, as `python -m bench --smallest NAME`."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from bench.__main__ import BENCHMARKS, TABLES
from orchestrator.system.resources import ROOT

ON_NETNS = [pytest.mark.netns]
AGAINST_COMPOSE = [pytest.mark.netns, pytest.mark.docker, pytest.mark.images("host")]
MARKS = {
    "netns-compose-2": AGAINST_COMPOSE,
    "netns-compose-10": AGAINST_COMPOSE,
    "docker-compose-2": AGAINST_COMPOSE,
    "docker-compose-10": AGAINST_COMPOSE,
    "vm": [pytest.mark.vm],
}


@pytest.mark.usefixtures("as_root")
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ON_NETNS)) for name in (*BENCHMARKS, *TABLES)]
)
def test_it_runs_in_its_smallest_form(name: str) -> None:
    argv = [sys.executable, "-m", "bench", "--smallest", name]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "not run" not in done.stdout, done.stdout
    assert any(character.isdigit() for character in done.stdout.partition("┡")[2]), done.stdout
    if name == "vm":
        assert "keep-alive-timers" in done.stdout, "a matrix is one row too"


def test_an_unknown_one_is_named_and_the_known_are_listed() -> None:
    argv = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"unknown benchmark nonsense; there are: {', '.join([*BENCHMARKS, *TABLES])}\n"


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
def test_a_background_job_is_interrupted() -> None:
    """`make bench &`: the shell has it ignore Ctrl-C."""
    argv = ["sh", "-c", 'trap "" INT QUIT; exec "$@"', "sh", sys.executable, "-m", "bench", "--smallest", "overhead"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "overhead ...\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert stderr == "interrupted: no figures of what was not finished\n"
