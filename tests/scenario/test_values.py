"""Durations, ranges, moments and windows: what they accept, and that they print as they were written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.scenario.values import DurationRange, Moment, Range, Window
from orchestrator.text.durations import MAX_DURATION, format_duration, parse_duration, write_duration

seconds = st.floats(0, MAX_DURATION, allow_nan=False) | st.integers(0, 10**7).map(lambda ms: ms / 1000)
counts = st.integers(0, 10**12 - 1)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,10}", fullmatch=True)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = sorted((draw(counts), draw(counts)))
    return Range(low, math.inf if draw(st.booleans()) else high)


@st.composite
def duration_ranges(draw: st.DrawFn) -> DurationRange:
    low, high = sorted((draw(seconds), draw(seconds)))
    return DurationRange(low, math.inf if draw(st.booleans()) else high)


offsets = st.builds(lambda size, sign: size * sign, seconds, st.sampled_from([1, -1]))
moments = st.builds(Moment, st.none() | names, st.sampled_from(["start", "end"]), offsets)


@settings(deadline=None)
@given(seconds)
def test_a_duration_is_read_back(value: float) -> None:
    assert parse_duration(write_duration(value)) == value


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_a_formatted_duration_is_right_to_the_millisecond(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@settings(deadline=None)
@given(ranges())
def test_a_range_is_read_back(value: Range) -> None:
    assert Range.parse(str(value)) == value


@settings(deadline=None)
@given(duration_ranges())
def test_a_range_of_durations_is_read_back(value: DurationRange) -> None:
    assert DurationRange.parse(str(value)) == value


@settings(deadline=None)
@given(moments)
def test_a_moment_is_read_back(value: Moment) -> None:
    assert Moment.parse(str(value)) == value


@settings(deadline=None)
@given(st.builds(Window, moments, moments))
def test_a_window_is_read_back(value: Window) -> None:
    assert Window.parse(str(value)) == value


@settings(deadline=None)
@given(ranges(), counts)
def test_a_range_contains_what_lies_between_its_ends(value: Range, count: int) -> None:
    assert (count in value) == (value.low <= count <= value.high)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8s", 8),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1m30s", 90),
        ("1h", 3600),
        (" 3s ", 3),
        (0, 0),
        ("0", 0),
        ("9ms", 0.009),
    ],
)
def test_durations(text: object, value: float) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (8, "a duration needs a unit: write 8s or 8ms"),
        (1.5, "write 1.5s"),
        ("8", "expected a duration such as 8s, 500ms or 2m, not the text '8'"),
        ("8 s", "expected a duration"),
        ("-8s", "expected a duration"),
        (-8, "expected a duration"),
        (math.nan, "expected a duration"),
        (math.inf, "expected a duration"),
        (True, "not true"),
        (None, "not nothing"),
        ([1], "not a list"),
        ("٣s", "expected a duration"),
        ("9000h", "at most 366 days"),
        ("9" * 500 + "h", "at most 366 days"),
    ],
)
def test_no_durations(value: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (8, "8s"),
        (90, "90s"),
        (61.25, "61.25s"),
        (1.23456, "1.235s"),
        (0.00012345, "0.123ms"),
    ],
)
def test_formatted(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [(100, 100, 100), ("7", 7, 7), ("9..11", 9, 11), ("1..", 1, math.inf), (" .. 4", 0, 4), (0, 0, 0)],
)
def test_ranges(text: object, low: float, high: float) -> None:
    assert Range.parse(text) == Range(low, high)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("..", "at least one end"),
        ("5..3", "low end is above its high end"),
        ("a..3", "expected a count such as 100, 9..11, 1.. or ..4, not the text 'a..3'"),
        (-1, "not the number -1"),
        (1.0, "not the number 1.0"),
        (True, "not true"),
        ({}, "not a mapping"),
        ("1...3", "expected a count"),
        (10**13, "expected a count"),
    ],
)
def test_no_ranges(value: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        Range.parse(value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("60s..62.1s", 60, 62.1), ("5s..", 5, math.inf), ("..500ms", 0, 0.5), ("0..3s", 0, 3), ("2m", 120, 120)],
)
def test_ranges_of_durations(text: str, low: float, high: float) -> None:
    assert DurationRange.parse(text) == DurationRange(low, high)


@pytest.mark.parametrize("value", ["60..62", "3s..1s", "..", 5, "x", None])
def test_no_ranges_of_durations(value: object) -> None:
    with pytest.raises(ValueError, match=r"duration|unit|end"):
        DurationRange.parse(value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("start", Moment(None, "start")),
        ("load.end", Moment("load", "end")),
        ("load.end+1s", Moment("load", "end", 1.0)),
        ("wait-2.start - 500ms", Moment("wait-2", "start", -0.5)),
    ],
)
def test_moments(text: str, moment: Moment) -> None:
    assert Moment.parse(text) == moment


@pytest.mark.parametrize(
    "value", ["load", "load.middle", "load.end + 1", "load.end 1s", "load.end +", ".end", 3, None, ""]
)
def test_no_moments(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected a moment|duration"):
        Moment.parse(value)


@pytest.mark.parametrize("text", ["a.start .. b.end", "a.start..b.end", "a.start ..b.end", "a.start.. b.end"])
def test_windows(text: str) -> None:
    assert Window.parse(text) == Window(Moment("a", "start"), Moment("b", "end"))


@pytest.mark.parametrize("value", ["a.start", "a.start .. b", "a.start .. b.end .. end", "..", 3, None])
def test_no_windows(value: object) -> None:
    with pytest.raises(ValueError, match="expected a"):
        Window.parse(value)


@settings(deadline=None)
@given(st.text(max_size=20) | st.integers() | st.floats() | st.none() | st.booleans())
def test_anything_else_is_a_value_error(value: object) -> None:
    for parse in (parse_duration, Range.parse, DurationRange.parse, Moment.parse, Window.parse):
        try:
            parse(value)
        except ValueError as error:
            assert str(error)
