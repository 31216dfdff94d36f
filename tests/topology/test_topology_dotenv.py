"""`.env` and `env_file` files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.topology.compose.dotenv import parse_dotenv, read_dotenv

OUTSIDE = {"OUT": "outside"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# comment\n\n  \n", {}),
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=x # comment", {"A": "x"}),
        ("A=x#y", {"A": "x#y"}),
        ("A= # comment", {"A": ""}),
        ("A='x # $OUT' # comment", {"A": "x # $OUT"}),
        (r"A='it\'s'", {"A": "it's"}),
        (r'A="a\tb\n\"c\" \$OUT $OUT"', {"A": 'a\tb\n"c" $OUT outside'}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ("A=1\nB=${A}${OUT}${NONE:-d}", {"A": "1", "B": "1outsided"}),
        ("OUT=inside\nB=$OUT", {"OUT": "inside", "B": "outside"}),
        ("OUT\nNONE\n", {"OUT": "outside"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A: x", {"A": "x"}),
        ("URL=http://h/?a=b", {"URL": "http://h/?a=b"}),
    ],
)
def test_values(text: str, expected: dict[str, str]) -> None:
    assert parse_dotenv(text, ".env", OUTSIDE.get) == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\n=2", 2, "expected NAME=value"),
        ("two words=1", 1, "expected NAME=value"),
        ("A=1\n\nB='x", 3, "closing quote"),
        ('A="x" y', 1, "end of the line"),
        ("A=${", 1, "name of a variable"),
        ("A=${NONE:?give it}", 1, "give it"),
        ("A=x\0y", 1, "NUL"),
    ],
)
def test_error_names_the_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_dotenv(text, ".env", OUTSIDE.get)
    assert caught.value.place is not None
    assert caught.value.place.line == line


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"A=\xe9\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_dotenv(tmp_path / "latin", OUTSIDE.get)
    with pytest.raises(InputError, match="cannot be read"):
        read_dotenv(tmp_path / "none", OUTSIDE.get)


@given(st.text())
def test_any_text_gives_variables_or_an_input_error(text: str) -> None:
    try:
        values = parse_dotenv(text, ".env", OUTSIDE.get)
    except InputError:
        return
    assert all(isinstance(value, str) for value in values.values())


@given(st.dictionaries(st.sampled_from(["A", "b_2", "_C"]), st.text(st.characters(exclude_characters="\0\\'\r"))))
def test_single_quotes_hold_any_value(values: dict[str, str]) -> None:
    text = "\n".join(f"{name}='{value}'" for name, value in values.items())
    assert parse_dotenv(text, ".env", OUTSIDE.get) == values
