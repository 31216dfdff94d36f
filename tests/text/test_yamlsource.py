"""The YAML layer: data with places, and the traps of YAML that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.bounds import FILE
from orchestrator.errors import InputError, Place
from orchestrator.text.suggest import describe, did_you_mean, suggestion
from orchestrator.text.yamlsource import Source, load_yaml, parse_yaml

SAMPLE = """\
name: demo
base: &base {a: 1, b: [2, 3]}
derived:
  <<: *base
  a: 10
items:
  - first
  - key: value
"""


def problem(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "f.yaml")
    return caught.value


def test_anchors_and_merge_keys_are_resolved() -> None:
    assert parse_yaml(SAMPLE, "f.yaml").data["derived"] == {"a": 10, "b": [2, 3]}


@pytest.mark.parametrize(
    ("keys", "of_key", "line", "column"),
    [
        (("name",), True, 1, 1),
        (("name",), False, 1, 7),
        (("derived", "a"), True, 5, 3),
        (("derived", "a"), False, 5, 6),
        (("derived", "b", 1), False, 2, 27),  # where the alias' target was written
        (("items", 1), True, 8, 5),
        (("items", 1, "key"), False, 8, 10),
        (("items", 1, "nope", 3), False, 8, 5),  # the nearest ancestor
        (("items", 7), True, 7, 3),
        (("nope",), False, 1, 1),
        ((), False, 1, 1),
    ],
)
def test_places(keys: tuple[str | int, ...], of_key: bool, line: int, column: int) -> None:
    assert parse_yaml(SAMPLE, "f.yaml").place(keys, of_key=of_key) == Place(Path("f.yaml"), line, column)


def test_the_first_of_several_merged_mappings_wins() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}"
    assert parse_yaml(text, "f.yaml").data["c"] == {"x": 1, "y": 3, "z": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("yes", True),
        ("off", False),
        ("9..11", "9..11"),
        ("1..", "1.."),
        ("..4", "..4"),
        ("0x10", 16),
        ("1.5", 1.5),
        ("8s", "8s"),
        ("'22:22'", "22:22"),
        ("8080:80", "8080:80"),
        ("=", "="),
        ("~", None),
        ("'<<'", "<<"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert parse_yaml(f"a: {text}", "f.yaml").data == {"a": value}


def test_keys_are_text() -> None:
    assert parse_yaml('8080: a\n1.5: b\ny: c\n"on": d', "f.yaml").data == {"8080": "a", "1.5": "b", "y": "c", "on": "d"}


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", 4, 3, "the key c stands here twice; the first is on line 3"),
        ("a: 1\n'a': 2", 2, 1, "twice"),
        ("a: {x: 1}\non: 1", 2, 1, "boolean"),
        ("off: 1", 1, 1, "boolean"),
        ("a: {yes: 1}", 1, 5, "boolean"),
        ("No: 1", 1, 1, "boolean"),
        ("ports: [22:22]", 1, 9, "base 60"),
        ("a: 1:30.5", 1, 4, "base 60"),
        ("22:22: a", 1, 1, "base 60"),
        ("- a", 1, 1, "expected a mapping at the top of the file, not a list"),
        ("just text", 1, 1, "not the text 'just text'"),
        ("a: 1\n---\nb: 2", 2, 1, "a second"),
        ("a:\n\t- b", 2, 1, "'\\t'"),
        ("a: b: c", 1, 5, "mapping values are not allowed"),
        ("a: [1, 2", 1, 9, "flow sequence"),
        ("a: *nobody", 1, 4, "undefined alias 'nobody'"),
        ("a: !python/object:os.system x", 1, 4, "tag"),
        ("a: !!set {b, c}", 1, 4, "tag"),
        ("a: !!binary aGk=", 1, 4, "tag"),
        ("? [a]\n: b", 1, 3, "a key must be a word"),
        ("a: 1\n~: b", 2, 1, "a key is missing"),
        ("a: \x01", 1, 4, "not allowed in YAML"),
        ('a: "\\ud800"', 1, 4, "surrogate"),
        ('a: "\\UFFFFFFFF"', 1, 7, "out of range"),
        ('a: {"\\e[31m": b}', 1, 5, "does not print: '\\x1b[31m'"),
        ("a: 0b_", 1, 4, "cannot be read as a YAML int"),
        ("a: 0x" + "f" * 5000, 1, 4, "cannot be read as a YAML int"),
        ("a: !!int nine", 1, 4, "cannot be read as a YAML int"),
        ("<<: 1", 1, 5, "merges mappings only"),
        ("a: &a {b: 1}\nc: {<<: *a, <<: *a}", 2, 13, "twice"),
        ("a: &a [*a]", 1, 4, "contains itself"),
        ("a: &a {<<: *a}", 1, 4, "contains itself"),
    ],
)
def test_refused(text: str, line: int, column: int, says: str) -> None:
    error = problem(text)
    assert error.place == Place(Path("f.yaml"), line, column)
    assert says in error.message


@pytest.mark.parametrize(("text", "hint"), [("on: 1", 'quote it: "on"'), ("a: 22:22", 'quote it: "22:22"')])
def test_hints_say_what_to_write(text: str, hint: str) -> None:
    assert problem(text).hint == hint


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n"])
def test_empty(text: str) -> None:
    error = problem(text)
    assert ("empty" in error.message) or ("not nothing" in error.message)


def _bomb(link: str) -> str:
    return "a0: &a0 {x: 1}\n" + "\n".join(f"a{i}: &a{i} {{{link.format(i - 1)}}}" for i in range(1, 40))


@pytest.mark.parametrize("link", ["x: *a{0}, y: *a{0}", "x: [*a{0}, *a{0}]", "<<: [*a{0}, *a{0}]"])
def test_alias_bombs_are_refused(link: str) -> None:
    assert "keys and values" in problem(_bomb(link)).message


@pytest.mark.parametrize("text", ["a: " + "[" * 5000, "a: " + "{a: " * 5000, "- " * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested deeper" in problem(text).message


@pytest.mark.parametrize("link", ["x: *a{}", "<<: *a{}"])
def test_deep_nesting_by_aliases_is_refused(link: str) -> None:
    chain = "a0: &a0 {x: 1}\n" + "\n".join(f"a{i}: &a{i} {{{link.format(i - 1)}}}" for i in range(1, 2000))
    assert "nested deeper" in problem(chain).message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "idle-close.yaml").write_text("a: 1")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nb: é".encode("latin-1"))
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (FILE.limit + 1))
    for path, says in [
        (tmp_path / "idle-clsoe.yaml", "no such file"),
        (tmp_path, "not a folder"),
        (latin, "not UTF-8: byte 0xe9"),
        (huge, "longer than"),
        (tmp_path / "a\0b", "cannot be read"),
        (tmp_path / ("a" * 5000), "cannot be read"),
        (tmp_path / "idle-close.yaml" / "x", "cannot be read"),
    ]:
        with pytest.raises(InputError) as caught:
            load_yaml(path)
        assert says in caught.value.message
        assert caught.value.place is not None
        assert caught.value.place.path == path
    with pytest.raises(InputError) as caught:
        load_yaml(latin)
    assert caught.value.place == Place(latin, 2, 4)
    with pytest.raises(InputError) as caught:
        load_yaml(tmp_path / "idle-clsoe.yaml")
    assert caught.value.hint == f"did you mean {tmp_path / 'idle-close.yaml'}?"


def test_a_byte_order_mark_does_not_move_columns(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_text("﻿a: 1", encoding="utf-8")
    assert load_yaml(path).place(("a",)) == Place(path, 1, 4)


keys = st.text(max_size=6).filter(str.isprintable)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(keys, plain, min_size=1, max_size=5))
def test_what_pyyaml_writes_is_read_back(data: dict[str, object]) -> None:
    """Every data of text keys survives, and each value has a place of its own inside of the text."""
    text = yaml.safe_dump(data, allow_unicode=False)
    source = parse_yaml(text, "f.yaml")
    assert source.data == data
    lines = text.split("\n")
    for path in _paths(source.data):
        place = source.place(path)
        assert place.line is not None
        assert place.column is not None
        assert 1 <= place.line <= len(lines)
        assert path in source.spots


def _paths(value: object, keys: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [keys, *(path for key, child in children for path in _paths(child, (*keys, key)))]


yamlish = st.text(alphabet="ab01:-[]{},&*<!|>%@#'\"\\ \n\t?~=.xyesno\x00\x85\ufeff\ud800\U0001f600", max_size=40)


@settings(deadline=None)
@given(st.text(max_size=60) | yamlish)
def test_any_text_gives_data_or_an_input_error(text: str) -> None:
    try:
        source = parse_yaml(text, "f.yaml")
    except InputError as error:
        assert error.message
        assert error.place is not None
    else:
        assert isinstance(source, Source)
        assert isinstance(source.data, dict)


@settings(deadline=None)
@given(raw=st.binary(max_size=60))
def test_any_bytes_give_data_or_an_input_error(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "f.yaml"
    path.write_bytes(raw)
    try:
        load_yaml(path)
    except InputError as error:
        assert error.place is not None


def test_did_you_mean() -> None:
    assert did_you_mean("alwyas", ["at", "always", "never"]) == "always"
    assert did_you_mean("time_wait", ["TIME_WAIT", "CLOSE_WAIT"]) == "TIME_WAIT"
    assert did_you_mean("zzz", ["at", "always"]) is None
    assert did_you_mean("at", []) is None
    assert suggestion("sever", ["client", "server"]) == "did you mean server?"
    assert suggestion("zzz", ["client", "server", "client"]) == "known: client, server"
    assert suggestion("zzz", []) is None


@settings(deadline=None)
@given(plain)
def test_descriptions_are_short(value: object) -> None:
    assert 0 < len(describe(value)) < 400
