"""Reads `events.jsonl`, line by line, each checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import InputError, Place
from orchestrator.recording.checker import NO_NUMBERS, LineChecker
from orchestrator.recording.events import Event

_AT_ONCE = 1 << 18
"""Bytes of lines that are looked through together for what few of them have."""


def read_events(path: Path) -> Iterator[Event]:
    """The lines of an `events.jsonl`, checked. Raises InputError with file and line at the first that is wrong."""
    checker = LineChecker(path)
    number = past = 0
    try:
        with path.open("rb") as file:
            while lines := file.readlines(_AT_ONCE):
                read = checker.read_any if _may_be_no_json(lines) else checker.read
                for number, line in enumerate(lines, past + 1):
                    event = read(line, number)
                    if event is not None:
                        yield event
                    elif line.strip():
                        yield checker.check(_decode(line, path, number), number)
                past = number
    except OSError as error:
        raise InputError(f"cannot read the recording: {error.strerror}", place=Place(path)) from None
    if number == 0:
        raise InputError(
            "the recording is empty: the run ended before it began", place=Place(path), hint="record the run again"
        )


def _may_be_no_json(lines: list[bytes]) -> bool:
    text = b"".join(lines)
    return any(number in text for number in NO_NUMBERS)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""One for all lines: json.loads makes one for each, where it is told what to do with constants."""


def _decode(line: bytes, path: Path, number: int) -> object:
    try:
        return _DECODER.decode(line.decode(json.detect_encoding(line), "surrogatepass"))
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
