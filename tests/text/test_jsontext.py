"""JSON text is written in one step: it is what json.dumps writes of plain data, for whatever stands in a report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.text.jsondata import plain
from orchestrator.text.jsontext import JsonText
from orchestrator.text.record import record

DIGITS = 6


class Colour(StrEnum):
    RED = "röd"
    GREEN = "green\ud800"


class Level(IntEnum):
    LOW = 1


class Odd(Enum):
    PAIR = (1.23456789, "x")


class Point(NamedTuple):
    x: int
    y: str


class Text(str):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True)
class One:
    only: Any


@record
class Two:
    first: Any
    second: Any = None


FRACTIONS = (
    st.floats()
    | st.floats(min_value=-2e9, max_value=2e9)
    | st.floats(min_value=-2e-3, max_value=2e-3)
    | st.decimals(min_value=-1000, max_value=1000, places=7).map(float)  # halves of the last digit that is kept
)
TEXTS = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Ll"])) | st.builds(Text, st.text())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FRACTIONS | TEXTS
    | st.sampled_from([*Colour, *Level, *Odd, Empty(), Point(1, "\x7f")]),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.builds(One, inner) | st.builds(Two, inner, inner)
        | st.dictionaries(TEXTS | st.integers(-2, 2) | st.sampled_from(Colour), inner)
    ),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
@example([0.0, -0.0, 0.0, -0.0])
@example([True, 1, 1.0, Level.LOW])
@example({1: "a", "1": "b"})
@example([9.9999995e-4, 1e-3, 999999999.9999999, 1e9, 1e16, 1e-7, 5e-324])
def test_it_is_what_json_dumps_writes_of_plain_data(value: Any) -> None:
    written = JsonText(DIGITS)
    expected = json.dumps(plain(value, digits=DIGITS), allow_nan=False)
    assert written(value) == expected
    assert written(value) == expected, "what it remembers of the first time is wrong"


def test_it_forgets_numbers_when_it_knows_too_many() -> None:
    numbers = [number + 0.25 for number in range(50_000)]
    assert JsonText(DIGITS)(numbers) == json.dumps(numbers)
