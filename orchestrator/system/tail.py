"""The end of a log, whatever its size."""

from __future__ import annotations

import os
from pathlib import Path

_READ = 64 << 10
"""Bytes. A line that is longer is shown from where these begin."""


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file that are not blank; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _READ))
            text = file.read(_READ).decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
