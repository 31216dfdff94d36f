"""The probe as a process: what the client of the probe needs of whoever started it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class ProbeProcess(Protocol):
    """The probe, started. It ends when `stdin` is closed. `here`: on this machine, with our clock and our files."""

    here: bool
    stdin: BinaryIO
    stdout: BinaryIO

    def captures(self, folder: Path) -> Path:
        """Where the probe writes the captures that shall be in `folder`."""

    def bring_captures(self, folder: Path) -> None:
        """Once they are whole: have them in `folder`. Raises EnvironmentFailure, OSError."""

    def end(self, timeout: float) -> None:
        """Give it `timeout` seconds to end by itself, then end it; nothing of it is left."""
