"""Writes `events.jsonl` while the run goes on. One writer, several threads."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.recording.events import Event


class EventWriter:
    """Appends lines; the first failure (a full disk) is kept and raised by `check`, not in the thread that met it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise _refused(path, error) from None

    def write(self, event: Event) -> None:
        self.write_lines(json.dumps(event, separators=(",", ":"), default=str).encode() + b"\n")

    def write_lines(self, lines: bytes) -> None:
        """Whole lines that are JSON already, as the probe sends them."""
        with self._lock:
            if self._failure is None and not self._file.closed:
                try:
                    self._file.write(lines)
                except OSError as error:
                    self._failure = error

    def check(self) -> None:
        """Raise EnvironmentFailure when something could not be written."""
        with self._lock:
            if self._failure is None and not self._file.closed:
                try:
                    self._file.flush()
                except OSError as error:
                    self._failure = error
            if self._failure is not None:
                raise _refused(self._path, self._failure)

    def close(self) -> None:
        """Close the file; a failure to flush is kept like any other."""
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                self._failure = self._failure or error


def _refused(path: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"cannot write the recording {path}: {error.strerror}",
        hint="free some space, or choose another folder with --output",
    )
