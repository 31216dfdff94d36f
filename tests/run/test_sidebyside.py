"""`simctl run --jobs`: several runs at a time. They are whole, in order, and end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from orchestrator.system.linux import descendants
from tests.cli.test_run_many import write
from tests.conftest import Simctl

pytestmark = pytest.mark.netns

LONG = "[{name: long, wait: 1h}]"
SIDE_BY_SIDE = ["run", "stories", "-r", "netns", "--jobs", "3"]


def started(folder: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "orchestrator", *SIDE_BY_SIDE]
    return subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(stream: IO[str] | None, *words: str) -> None:
    """Until each of the words was in some line."""
    assert stream is not None
    missing = set(words)
    while missing:
        line = stream.readline()
        assert line, f"it ended without saying {missing}"
        missing -= {word for word in missing if word in line}


def await_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def test_they_run_at_the_same_time_and_are_told_in_their_order(simctl: Simctl, tmp_path: Path) -> None:
    write(tmp_path, "a-longest", steps="[{name: longest, wait: 3s}]")
    write(tmp_path, "b-short")
    write(tmp_path, "c-lost", topology="nowhere.yaml")
    write(tmp_path, "d-next", steps="[{name: next, wait: 50ms}]")
    done = simctl(*SIDE_BY_SIDE[:-1], "2", "--format", "json")
    assert done.returncode == 2, done.stderr
    assert [report["scenario"] for report in json.loads(done.stdout)] == ["a-longest", "b-short", "d-next"]
    said = [line.partition("] ")[2] for line in done.stderr.splitlines() if line.startswith("[")]
    assert {line.partition(": ")[0] for line in said} == {"a-longest", "b-short", "d-next"}
    assert said.index("d-next: next: wait 50ms") < said.index("a-longest: down"), "the short ones did not wait for it"
    assert said.index("b-short: judge") < said.index("d-next: up: 2 nodes"), "no more than two at a time"
    assert "c-lost.yaml:2:" in done.stderr


def test_an_interruption_ends_all_and_tells_what_was_done(tmp_path: Path) -> None:
    write(tmp_path, "a-long", steps=LONG)
    write(tmp_path, "b-short")
    write(tmp_path, "c-long", steps=LONG)
    with started(tmp_path) as simctl:
        read_until(simctl.stderr, "a-long: long: wait", "c-long: long: wait", "b-short: judge")
        time.sleep(1)  # its report is on the way
        pids = descendants(simctl.pid)
        simctl.send_signal(signal.SIGTERM)
        stdout, stderr = simctl.communicate(timeout=30)
    assert simctl.returncode == 130, stderr
    assert "PASS  b-short" in stdout
    assert "a-long: down" in stderr and "c-long: down" in stderr
    assert "a-long: what was recorded is in" in stderr
    assert "Traceback" not in stderr
    await_the_end_of(pids)


def test_nothing_outlives_a_simctl_that_is_killed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, steps=LONG)
    with started(tmp_path) as simctl:
        read_until(simctl.stderr, "a: long: wait", "b: long: wait")
        pids = descendants(simctl.pid)
        assert len(pids) > 4
        simctl.kill()
        simctl.wait(10)
        await_the_end_of(pids)


def test_a_run_whose_process_is_killed_is_one_that_could_not_be_run(tmp_path: Path) -> None:
    write(tmp_path, "a-victim", steps=LONG)
    write(tmp_path, "b-other", steps="[{name: other, wait: 2s}]")
    with started(tmp_path) as simctl:
        read_until(simctl.stderr, "a-victim: long: wait", "b-other: other: wait")
        os.kill(min(child_processes(simctl.pid)), signal.SIGKILL)
        stdout, stderr = simctl.communicate(timeout=30)
    assert simctl.returncode == 3, stderr
    assert "a-victim: the process of this run was ended by signal 9" in stderr
    assert "PASS  b-other" in stdout and "NOT RUN  a-victim" in stdout


def child_processes(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
