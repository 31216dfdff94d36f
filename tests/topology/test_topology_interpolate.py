"""Interpolation: the operators of the Compose Specification, nesting, and errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.topology.compose.interpolate import InterpolationError, interpolate, names, parse

VALUES = {"SET": "value", "EMPTY": "", "OTHER": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a${SET}b$SET-c", "avaluebvalue-c"),
        ("$UNSET", ""),
        ("${UNSET}", ""),
        ("$$SET $${SET}", "$SET ${SET}"),
        ("$$$SET", "$value"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${SET:-default}", "value"),
        ("${UNSET-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${SET-default}", "value"),
        ("${SET:+alt}", "alt"),
        ("${EMPTY:+alt}", ""),
        ("${UNSET:+alt}", ""),
        ("${SET+alt}", "alt"),
        ("${EMPTY+alt}", "alt"),
        ("${UNSET+alt}", ""),
        ("${SET:?needed}", "value"),
        ("${EMPTY?needed}", ""),
        ("${UNSET:-${EMPTY:-${OTHER}}}", "x"),
        ("${UNSET:-$SET}/${OTHER}", "value/x"),
        ("${UNSET:-a:-b?c+d}", "a:-b?c+d"),
        ("${UNSET:-http://h:80/?q=1}", "http://h:80/?q=1"),
        ("${UNSET:-}", ""),
        ("${UNSET:-$$}", "$"),
        ("}{", "}{"),
        ("${SET:-${UNSET:?not evaluated}}", "value"),
        ("${UNSET+${UNSET:?not evaluated}}", ""),
    ],
)
def test_value(text: str, expected: str) -> None:
    assert interpolate(text, VALUES.get) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$", "must begin a variable"),
        ("cost: 5$", "must begin a variable"),
        ("$1", "must begin a variable"),
        ("${", "name of a variable"),
        ("${}", "name of a variable"),
        ("${1A}", "name of a variable"),
        ("${A", "closing brace"),
        ("${A:-b", "closing brace"),
        ("${A:-${B}", "closing brace"),
        ("${A b}", "expected }"),
        ("${A:=b}", "expected }"),
        ("${SET:-${}}", "name of a variable"),
        ("${UNSET:?give it}", "the variable UNSET is not set: give it"),
        ("${UNSET?}", "the variable UNSET is not set"),
        ("${EMPTY:?give $OTHER}", "the variable EMPTY is empty: give x"),
        ("${A:-" * 30 + "}" * 30, "deeper than"),
    ],
)
def test_error(text: str, message: str) -> None:
    with pytest.raises(InterpolationError, match=message.replace("}", r"\}")):
        interpolate(text, VALUES.get)


def test_names_mentions_every_variable_also_in_branches_not_taken() -> None:
    assert list(names(parse("$A ${B:-${C:+$D}} $$E"))) == ["A", "B", "C", "D"]


@given(st.text(st.characters(exclude_characters="$")))
def test_text_without_dollar_is_unchanged(text: str) -> None:
    assert interpolate(text, VALUES.get) == text


@given(st.text())
def test_doubling_the_dollar_gives_any_text(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), VALUES.get) == text


@given(st.text())
def test_a_value_is_not_interpolated_again(value: str) -> None:
    assert interpolate("<$A|${A-x}>", {"A": value}.get) == f"<{value}|{value}>"


@given(st.lists(st.sampled_from(["$", "{", "}", "A", "UNSET", ":", "-", "?", "+", "SET", " "]), max_size=30))
def test_any_text_gives_a_text_or_an_interpolation_error(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        result = interpolate(text, VALUES.get)
    except InterpolationError as error:
        assert "\n" not in str(error)
    else:
        assert "$" not in text or "$$" in text or "$" not in result
