"""No sentence that simctl made is ever taken apart, and the rooms that reason make none for certain fields.

A reworded sentence must change what is shown, never what is decided. So the texts of models are only ever shown whole:
nothing looks at their beginning, splits them, or searches them. What history, judge and analysis store in a field such
as `how` or `by` is a value of an enum or a name, never a phrase put together there. And analysis has no phrase at all
but in its errors: report/words says what it found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2] / "orchestrator"

PARSED_NOWHERE = ("analysis", "report", "history", "recording", "lab", "run", "cli", "scenario", "judge")
"""Rooms in which no text of a model is parsed."""

DATA_ONLY = ("history", "recording", "judge", "analysis")
"""Rooms that store no phrase in a field of a model."""

TEXTS = frozenset(
    {"how", "by", "evidence", "when", "actual", "reason", "text", "headline", "ended", "outcome", "margin"}
)
"""Attributes of our models that hold, or once held, what people read."""

LISTS = ("evidence",)
"""Of these, texts in a row: to take the first few is not to parse one."""

PARSERS = frozenset(
    {"startswith", "endswith", "partition", "rpartition", "split", "rsplit", "removeprefix", "find", "index"}
)

REGEXES = frozenset({"match", "search", "fullmatch", "split", "findall", "finditer", "sub"})


def modules(rooms: tuple[str, ...]) -> Iterator[tuple[str, ast.Module]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in TEXTS


def parsed(tree: ast.Module) -> Iterator[str]:
    """Every expression that takes a text of a model apart, as it is written."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=name)):
                regex = isinstance(owner, ast.Name) and (owner.id == "re" or owner.id.isupper())
                if (name in PARSERS and is_text(owner)) or (regex and name in REGEXES and any(map(is_text, node.args))):
                    yield ast.unparse(node.func if is_text(owner) else node)
            case ast.Compare(left=ast.Constant() | ast.JoinedStr(), ops=[ast.In() | ast.NotIn()], comparators=[text]):
                if is_text(text):
                    yield ast.unparse(node)
            case ast.Subscript(value=text, slice=ast.Slice()):
                if is_text(text) and not ast.unparse(text).endswith(LISTS):
                    yield ast.unparse(node)


def phrases(tree: ast.Module) -> Iterator[str]:
    """Every text with a space that is put together and stored in a field of TEXTS: `how=f"RST by {node}"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in TEXTS - {"text", "reason"} and _is_phrase(node.value):
            yield ast.unparse(node)


def _is_phrase(value: ast.expr) -> bool:
    if not isinstance(value, ast.JoinedStr):
        return False
    return any(isinstance(part, ast.Constant) and " " in str(part.value).strip() for part in value.values)


def test_no_text_of_a_model_is_parsed() -> None:
    found = [f"{path}: {what}" for path, tree in modules(PARSED_NOWHERE) for what in parsed(tree)]
    assert found == []


def test_rooms_that_reason_store_no_phrase() -> None:
    found = [f"{path}: {what}" for path, tree in modules(DATA_ONLY) for what in phrases(tree)]
    assert found == []


def words(tree: ast.Module) -> Iterator[str]:
    """Every text of several words, but for docstrings and messages of errors."""
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                passed.add(node.value)
            case ast.Call(func=ast.Name(id=name)) if name.endswith("Error"):
                passed.update(ast.walk(node))
            case ast.JoinedStr() if node not in passed:
                passed.update(part for part in ast.walk(node) if part is not node)
                if any(isinstance(part, ast.Constant) and _several(str(part.value)) for part in node.values):
                    yield ast.unparse(node)
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in passed)
    yield from (ast.unparse(node) for node in texts if isinstance(node.value, str) and _several(node.value))


def _several(text: str) -> bool:
    """Whether there is a word in it beside a space: `, ` has none."""
    return re.search(r"[A-Za-z]{2} | [A-Za-z]{2}", text) is not None


def test_analysis_says_nothing_in_words() -> None:
    found = [f"{path}: {what}" for path, tree in modules(("analysis",)) for what in words(tree)]
    assert found == []


@pytest.mark.parametrize("line", ['text = f"{node} closed first"', 'return "no answer"', '{1: " idle"}'])
def test_a_phrase_in_analysis_is_seen(line: str) -> None:
    assert list(words(ast.parse(f"def f():\n    {line}")))


@pytest.mark.parametrize(
    "line", ['raise InputError("no such thing")', '", ".join(names)', 'f"{method} {path}"', '"""A docstring of it."""']
)
def test_errors_names_and_docstrings_are_no_phrases(line: str) -> None:
    assert not list(words(ast.parse(f"def f():\n    {line}")))


@pytest.mark.parametrize(
    "line",
    [
        'connection.how.startswith("RST")',
        'fate.by.partition(",")[0]',
        're.split(r"\\s", verdict.when)',
        "_SPAN.fullmatch(fact.actual)",
        '"CLOSE_WAIT" in entry.ended',
        "item.text[:3]",
        "line.reason.split()",
    ],
)
def test_the_test_sees_what_it_forbids(line: str) -> None:
    assert list(parsed(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ['item.kind == "fin"', "host.split(':')", "connection.how in known", "re.match(x, name)"]
)
def test_what_is_no_prose_is_allowed(line: str) -> None:
    assert not list(parsed(ast.parse(line)))


def test_a_phrase_is_seen() -> None:
    assert list(phrases(ast.parse('replace(connection, how=f"timeout on {node}")')))
    assert not list(phrases(ast.parse('replace(connection, how=kind, by=f"{node}")')))
