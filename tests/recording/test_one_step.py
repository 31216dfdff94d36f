"""Decoding and checking a line in one step gives what the two steps give, or nothing at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.recording.checker import LineChecker
from orchestrator.recording.events import Event
from orchestrator.recording.lines import LINES
from orchestrator.recording.reader import read_events
from orchestrator.recording.schema import validator, whole_validator
from tests.recording.test_lines import RUN, SAMPLES
from tests.support.builders import events

WHOLE = whole_validator(LINES)
WRITTEN = st.sampled_from(
    (
        "null",
        "true",
        "0",
        "1",
        "-0",
        "-0.0",
        "1.0",
        "5e3",
        "1e999",
        "-1e999",
        "99999999999999999999",
        "9007199254740993",
        '""',
        '"1.2.3.4:80"',
        '"ESTABLISHED"',
        '"\\ud800"',
        '"\\u0000"',
        "[]",
        "{}",
        '{"a": [1, 1.0, true, null, 1e999]}',
    )
)
"""Values as a file may spell them: where Python's decoder and pydantic's may differ."""


def same(one: object, other: object) -> bool:
    """Equal, and of the same types throughout: 1, 1.0 and true are three things."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


@given(st.data())
def test_what_one_step_lets_pass_is_what_two_steps_find(data: st.DataObject) -> None:
    line: dict[str, Any] = dict(data.draw(st.sampled_from(SAMPLES)))
    fields = [field for field in data.draw(st.lists(st.sampled_from([*line, "unknown"]), max_size=2)) if field != "ev"]
    written = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in line.items() if key not in fields)
    changed = "".join(f', "{field}": {data.draw(WRITTEN)}' for field in fields)
    text = f"{{{written}{changed}}}\n".encode()
    try:
        made = WHOLE.validate_json(text, strict=True)
    except ValueError:
        return  # then the two steps have the word
    decoded = json.loads(text)
    validator(LINES[decoded["ev"]]).validate_python(decoded, strict=True)
    assert same(made, decoded)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ['"request_headers": {"Age": %s}', '"unknown": [%s]', '"t0": %s'])
def test_what_is_no_number_of_json_is_refused_wherever_it_stands(tmp_path: Path, place: str, number: str) -> None:
    path = tmp_path / "events.jsonl"
    start = "".join(json.dumps(line) + "\n" for line in events(RUN))
    path.write_text(f'{start}{{"t": 9.0, "ev": "request", "node": "client", {place % number}}}\n')
    with pytest.raises(InputError, match=f"not a line of JSON: {number} is not a number of JSON"):
        list(read_events(path))


def test_a_sound_line_takes_one_step(tmp_path: Path) -> None:
    """Nothing would fail if all took two, but for patience."""
    checker = LineChecker(tmp_path)
    first, *others = events(RUN)
    checker.check(first, 1)
    read: list[Event | None] = [
        checker.read(json.dumps(line).encode(), number) for number, line in enumerate(others, 2)
    ]
    assert read == others
