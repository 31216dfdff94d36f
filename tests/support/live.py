"""A `simctl run` that is still running: tests interrupt it, kill it, or look at what it made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def started(
    tmp_path: Path, runtime: str = "netns", *extra: str, scenario: str | Path = "idle-close"
) -> Iterator[subprocess.Popen[str]]:
    """`simctl run idle-close`, or another scenario, killed when the block ends. Its runs are in `tmp_path/runs`."""
    argv = [
        sys.executable,
        "-m",
        "orchestrator",
        "run",
        str(scenario),
        "-r",
        runtime,
        "-o",
        str(tmp_path / "runs"),
        *extra,
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def await_line(process: subprocess.Popen[str], start: str) -> None:
    """Wait until its progress says a line that starts so. Fails when it ends before that."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.partition("] ")[2].startswith(start):
            return
    pytest.fail(f"no line {start!r} before the end")
