"""The lines of nodes' logs that explain what clients got, as lines of the recording.

A log is a file that the node's program writes itself. It is read at named moments: so a line is recorded with the time
by which it had been written, and with that of the reading before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bounds import LOG_LINES
from orchestrator.kinds.logrules import LogRule, read_line
from orchestrator.recording.events import Event

_AT_ONCE = 1 << 20
"""Bytes of a log that are read at a moment; the rest at the next one."""


@dataclass(slots=True)
class _Log:
    path: Path
    rules: tuple[LogRule, ...]
    read: int = 0
    """Bytes."""
    after: float = 0.0
    told: int = 0


class NodeLogs:
    """The logs of a lab. `write` takes events, `now` is the time of the recording, `note` takes what a reader should
    know. Several threads may read."""

    def __init__(self, write: Callable[[Event], None], now: Callable[[], float], note: Callable[[str], None]) -> None:
        self._write, self._now, self._note = write, now, note
        self._logs: dict[str, _Log] = {}
        self._reading = threading.Lock()

    def add(self, node: str, path: Path, rules: tuple[LogRule, ...]) -> None:
        """Read this node's log from now on, if its kind has rules."""
        if rules:
            self._logs[node] = _Log(path, rules)

    def read(self) -> None:
        """Record what was written since the last time."""
        with self._reading:
            for node, log in self._logs.items():
                self._read(node, log)

    def _read(self, node: str, log: _Log) -> None:
        now = round(self._now(), 6)
        for line in _new_lines(log):
            told = read_line(log.rules, line)
            if told is None or log.told > LOG_LINES.limit:
                continue
            log.told += 1
            if log.told > LOG_LINES.limit:
                self._note(f"{node}: only the first {LOG_LINES.limit} lines of its log that explain something are told")
                continue
            self._write({"t": now, "ev": "log", "node": node, "after": log.after, **told})
        log.after = now


def _new_lines(log: _Log) -> list[str]:
    """Those that are whole. A log that cannot be read has none: it is the recording's business alone."""
    try:
        with log.path.open("rb") as file:
            file.seek(log.read)
            data = file.read(_AT_ONCE)
    except OSError:
        return []
    end = data.rfind(b"\n") + 1
    if not end and len(data) == _AT_ONCE:
        end = len(data)  # one line without an end
    log.read += end
    return data[:end].decode(errors="replace").split("\n")
