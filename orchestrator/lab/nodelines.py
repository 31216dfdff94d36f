"""What a node's program may say on its control channel: a node is not believed further than that (nodes/README.md).

Everything else that a program prints goes into its log. A line that claims to report something and does not say it as
it must be said is a failure of the node: a recording may hold nothing that its own reader would refuse.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.errors import InputError
from orchestrator.recording.checker import LineChecker
from orchestrator.recording.events import FORMAT, Event

_LIFE = frozenset({"ready", "done", "exited"})
"""What concerns the channel, and is in no recording."""

OF_COMMANDS = frozenset({"request", "raw", "load"})
"""What clients write, and what came of a command."""
_SERVERS = frozenset({"served", "answered", "closed"})
_SHOWN = 120
"""Characters of a refused line that are shown."""


class Refused(Exception):
    """A line that no node may write; the text says why, and ends a sentence that begins with the node's name."""


class Cut(Refused):
    """A line that may be the beginning of one: its program may have been killed while it wrote it."""


class NodeLines:
    """Reads the lines of one node. `role`: of its kind; None: its program does not report, so only its life is told,
    and a line of anything else is the program's own business."""

    def __init__(self, name: str, role: str | None) -> None:
        self._told = frozenset() if role is None else OF_COMMANDS if role == "client" else _SERVERS
        self._speaks = role is not None
        self._name = name
        self._checker: LineChecker | None = None

    def read(self, line: bytes) -> Event | None:
        """The event of a line, None for one that goes into the log. Raises Refused."""
        if not line.startswith(b"{"):
            return None
        try:
            event = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError):
            if self._speaks and line.startswith(b'{"ev"'):
                raise Cut(f"wrote a line that is no JSON: {_shown(line)}") from None
            return None
        if not isinstance(event, dict) or not isinstance(event.get("ev"), str):
            return None
        if event["ev"] in _LIFE:
            if problem := _wrong_life(event):
                raise Refused(f"wrote a line `{event['ev']}` {problem}: {_shown(line)}")
            return event
        if event["ev"] in self._told:
            self._check(event, line)
            return event
        if not self._speaks:
            return None
        may = ", ".join(sorted(self._told))
        raise Refused(f"wrote a line `{event['ev'][:_SHOWN]}`, which it may not: its kind may write {may}")

    def _check(self, event: Event, line: bytes) -> None:
        """That a reader of the recording will take it."""
        if self._checker is None:
            node: Any = {"name": self._name, "service": self._name, "role": "", "addresses": [], "events": True}
            self._checker = LineChecker(Path())
            self._checker.check({"t": 0, "ev": "begin", "format": FORMAT, "period": 1, "nodes": [node]}, 0)
        try:
            self._checker.check({**event, "node": self._name}, 0)
        except InputError as error:
            raise Refused(f"wrote a line that no recording may have, {error.message}: {_shown(line)}") from None


def _wrong_life(event: Event) -> str:
    """What is wrong with `done` or `exited`; empty when nothing is."""
    match event["ev"]:
        case "done":
            if not _is_whole(event.get("id")):
                return "without the number of its command"
            if not isinstance(event.get("error"), str | None):
                return "whose `error` is no text"
        case "exited":
            if not all(event.get(key) is None or _is_whole(event[key]) for key in ("status", "signal")):
                return "whose `status` or `signal` is no whole number"
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
