"""Reads `events.jsonl`, line by line, each checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import InputError, Place
from orchestrator.recording.checker import LineChecker
from orchestrator.recording.events import Event


def read_events(path: Path) -> Iterator[Event]:
    """The lines of an `events.jsonl`, checked. Raises InputError with file and line at the first that is wrong."""
    checker = LineChecker(path)
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield checker.check(_decode(line, path, number), number)
    except OSError as error:
        raise InputError(f"cannot read the recording: {error.strerror}", place=Place(path)) from None
    if number == 0:
        raise InputError(
            "the recording is empty: the run ended before it began", place=Place(path), hint="record the run again"
        )


def _decode(line: bytes, path: Path, number: int) -> object:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n"):
            raise InputError(
                "the last line is cut off: the run was killed while it wrote it",
                place=Place(path, number),
                hint="delete this line to judge what was recorded before it",
            ) from None
        column = error.colno if isinstance(error, json.JSONDecodeError) else None
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(
            f"not a line of JSON: {reason}",
            place=Place(path, number, column),
            hint="restore this line, or record the run again with `simctl run`",
        ) from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")
