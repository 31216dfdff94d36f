"""Low limits of the machine, odd terminals, interrupts at any moment: a message, the right exit code, no traceback."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Simctl

SIMCTL = Path(sys.executable).with_name("simctl")


def limited(which: int, limit: int, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SIMCTL, "run", "session-close", "-r", "netns", "-q", "-o", str(folder)],
        capture_output=True, text=True, timeout=90, check=False,
        preexec_fn=lambda: resource.setrlimit(which, (limit, limit)),
    )  # fmt: skip


@pytest.mark.netns
@pytest.mark.parametrize(
    ("which", "limit"),
    [
        *[(resource.RLIMIT_NOFILE, limit) for limit in (6, 10, 14, 18, 22)],
        *[(resource.RLIMIT_AS, limit << 20) for limit in (50, 200)],
    ],
)
def test_limits_that_are_too_low(tmp_path: Path, which: int, limit: int) -> None:
    done = limited(which, limit, tmp_path / "runs")
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or done.stderr.startswith("simctl: ")


@pytest.mark.parametrize("columns", ["²", "0", "-5", "1", "20", "10000000000", "x", ""])
def test_a_terminal_of_any_width(simctl: Simctl, columns: str) -> None:
    done = simctl("doctor", env={"COLUMNS": columns, "LINES": columns})
    assert "Traceback" not in done.stderr
    assert "netns" in done.stdout.replace("\n", "")


@pytest.mark.netns
@pytest.mark.timeout(240)
def test_an_interrupt_at_any_moment(tmp_path: Path) -> None:
    """From the first line of progress on, once or twice. That it is heeded before, while simctl is being imported, is
    the next but one test's."""
    chance = random.Random(1)
    for number in range(16):
        process = subprocess.Popen(
            [SIMCTL, "run", "session-close", "-r", "netns", "-o", str(tmp_path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        first = process.stderr.readline()
        time.sleep(chance.uniform(0, 2.0))
        process.send_signal(signal.SIGINT)
        if number % 2:
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (130, 0, -signal.SIGINT), said
        assert "Traceback" not in first + said


LOST = """
import signal, os, sys, time
from orchestrator.system import interrupts

interrupts.install()

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

try:
    ends = Ends()
    del ends  # an exception here is ignored by Python
    time.sleep(30)
    print("lost")
except KeyboardInterrupt:
    print("heeded")
"""


def test_an_interrupt_in_a_destructor_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("heeded\n", "")


def test_the_first_line_of_the_command_heeds_signals() -> None:
    """While simctl is being imported."""
    code = "import os, signal, sys; sys.argv = ['simctl', '--version']; import orchestrator.__main__ as m\n"
    code += "import builtins; old = builtins.__import__\n"
    code += "def slow(name, *more):\n    if name == 'orchestrator.cli.main': os.kill(os.getpid(), signal.SIGINT)\n"
    code += "    return old(name, *more)\nbuiltins.__import__ = slow\nm.main()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")
