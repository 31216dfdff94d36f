"""Processes of simctl's own that nearly every lab takes, begun while simctl still imports what it needs itself.

An interpreter with its modules takes 60 to 100 ms; beside the 200 ms of simctl's own that is no time. Which lab it will
be, and where its logs are, nobody knows yet: until somebody takes a process, it prints into memory. One that nobody
takes ends with its input, when simctl ends.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PRINTED = 1 << 20


@dataclass(frozen=True, slots=True)
class Early:
    """A process that waits. `channel`: what else its beginner holds of it."""

    process: subprocess.Popen[bytes]
    channel: Any
    printed: int
    """Descriptor of the memory that its standard error goes to."""


_begun: dict[str, Early] = {}


def begin(name: str, start: Callable[[int], tuple[subprocess.Popen[bytes], Any]]) -> None:
    """Begin a process of that name, unless one waits. `start` gets the descriptor for its standard error.

    No error is told: whoever wants the process begins it again, and is told then."""
    if name in _begun:
        return
    printed = -1
    try:
        printed = os.memfd_create(f"simctl-{name}")
        process, channel = start(printed)
    except OSError:
        if printed >= 0:
            os.close(printed)
        return
    _begun[name] = Early(process, channel, printed)


def take(name: str, log: Path) -> Early | None:
    """The process of that name that waits, now the taker's; what it has printed is in the log. None: there is none."""
    early = _begun.pop(name, None)
    if early is None:
        return None
    text = os.pread(early.printed, _PRINTED, 0)
    os.close(early.printed)
    if text:
        with log.open("ab") as file:
            file.write(text)
    return early if early.process.poll() is None else None
