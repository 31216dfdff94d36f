"""What every refusal of the command has in common."""

from __future__ import annotations

import subprocess
from pathlib import Path


def assert_refused(done: subprocess.CompletedProcess[str], code: int) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("simctl: ")]
    assert len(said) == 1, done.stderr


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
