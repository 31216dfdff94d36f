"""The two ways from YAML to its node graph are twins: the same data, the same places, or PyYAML's own words."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import yaml

from orchestrator.errors import InputError
from orchestrator.system.resources import ROOT
from orchestrator.text import yamlcompose, yamlsource

pytestmark = pytest.mark.pure

BITS: Sequence[str] = (
    *"\t \n:'\"{}[],#\r\x85\u2028\ufeff\\@`~\0é",
    *("- ", "? ", "|\n", ">-\n", "&a ", "*a", "!!str ", "!x ", "%YAML 1.1\n", "---\n", "...\n", "<<: ", "12:30"),
)


def read(text: str, monkeypatch: pytest.MonkeyPatch, *, quickly: bool) -> object:
    yamlsource._parsed.cache_clear()
    with monkeypatch.context() as patch:
        if not quickly:
            patch.setattr(yamlsource, "compose_quickly", lambda text: None)
        try:
            source = yamlsource.parse_yaml(text, "x")
        except InputError as error:
            return error.message, str(error.place), error.hint
        return source.data, source.spots


def texts() -> list[str]:
    files = [path for folder in ("nodes", "scenarios", "compose") for path in sorted((ROOT / folder).rglob("*.yaml"))]
    return [path.read_text() for path in files]


def test_the_quick_way_is_there_and_taken() -> None:
    assert yaml.__with_libyaml__
    assert yamlcompose.compose_quickly("a: 1") is not None
    assert yamlcompose.compose_quickly("a: [1") is None


def test_every_file_of_ours_is_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    found = texts()
    assert len(found) > 60
    for text in found:
        assert read(text, monkeypatch, quickly=True) == read(text, monkeypatch, quickly=False)


@pytest.mark.parametrize(
    "text", ["a: {b: ,c}", "a: {b:   , c: 1}", "{? , b}", "a: [ , ]", "a: {b: '' , c: }", "a:\nb: {c: \n  }\n"]
)
def test_nothing_stands_in_the_same_place(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert read(text, monkeypatch, quickly=True) == read(text, monkeypatch, quickly=False)


@pytest.mark.parametrize("seed", range(4))
def test_wrong_files_are_read_alike(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    short = [text for text in texts() if len(text) < 2000]
    for _ in range(60):
        text = chance.choice(short)
        for _ in range(chance.choice((1, 1, 3))):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(BITS) + text[at + chance.choice((0, 0, 1, 5)) :]
        assert read(text, monkeypatch, quickly=True) == read(text, monkeypatch, quickly=False), text
