"""Files and functions that a reader can hold in the head: bounds, for everything that is shipped."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.system.resources import ROOT

pytestmark = pytest.mark.pure

MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_TESTS = 450
"""Of a file of tests. Their functions may be as long as the story that they tell."""

SHIPPED = ("orchestrator", "nodes", "bench", "tools")


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def long_files(paths: list[Path], most: int) -> dict[str, int]:
    """Path -> lines, of those that have more."""
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    return {name: count for name, count in lines.items() if count > most}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of each, from `def` to the end; decorators do not count."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_are_short() -> None:
    assert long_files(files(*SHIPPED), MOST_LINES) == {}


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in files(*SHIPPED)
        for name, lines in functions(path)
        if lines > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_files_of_tests_are_short() -> None:
    assert long_files(files("tests"), MOST_LINES_OF_TESTS) == {}
