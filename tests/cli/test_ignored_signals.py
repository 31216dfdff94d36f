"""simctl as a background job of a script, or under nohup: what it inherited as ignored."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.system.linux import descendants
from tests.cli.test_lifecycle import await_gone, machine, network_namespaces
from tests.support.live import await_line

pytestmark = pytest.mark.netns

BACKGROUND = "INT QUIT"
"""What a shell without job control ignores for `command &`."""


@contextmanager
def started(folder: Path, ignored: str, runs: tuple[str, ...] = ("idle-close",)) -> Iterator[subprocess.Popen[str]]:
    """A run that was started with these signals ignored."""
    simctl = [sys.executable, "-m", "orchestrator", "run", *runs, "-r", "netns", "-o", str(folder / "runs")]
    command = ["sh", "-c", f'trap "" {ignored}; exec "$@"', "sh", *simctl]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["sigint", "sigterm"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_background_job_is_interrupted(tmp_path: Path, number: int, jobs: int) -> None:
    before = machine()
    runs = ("idle-close", "--jobs", "2", "idle-close") if jobs == 2 else ("idle-close",)
    with started(tmp_path, BACKGROUND, runs) as process:
        await_line(process, "idle:" if jobs == 1 else "idle-close: idle:")
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        await_gone(family, namespaces)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Traceback" not in stderr
    assert machine() == before


def test_nodes_ignore_nothing_of_it(tmp_path: Path) -> None:
    """SIGINT, SIGQUIT, SIGTERM and SIGHUP reach a node's program as if it had been started by hand."""
    with started(tmp_path, f"{BACKGROUND} HUP TERM") as process:
        await_line(process, "idle:")
        programs = [pid for pid in descendants(process.pid) if b"nodes/" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        masks = {pid: ignored(pid) & {"SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"} for pid in programs}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert len(masks) == 2
    assert not any(masks.values()), masks


def test_nohup_is_obeyed(tmp_path: Path) -> None:
    with started(tmp_path, "HUP") as process:
        await_line(process, "idle:")
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def ignored(pid: int) -> set[str]:
    """Names of the signals that a process ignores: proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith("SigIgn:")), 16)
    return {number.name for number in signal.Signals if mask >> number - 1 & 1}
