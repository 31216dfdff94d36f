"""The list of tests that only `make test-all` runs names tests that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.slowones import SLOW, is_slow

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("beginning", SLOW)
def test_it_names_a_test(beginning: str) -> None:
    file, _, name = beginning.partition("::")
    (path,) = TESTS.rglob(file)
    assert f"def {name.partition('[')[0]}(" in path.read_text()
    assert is_slow(f"tests/{path.relative_to(TESTS)}::{name}]")
