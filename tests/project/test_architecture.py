"""docs/architecture.md is held against the code: every room has a row, it says what it imports, its files exist."""

from __future__ import annotations

import re

import pytest

from tools import architecture_table as table

pytestmark = pytest.mark.pure

PAGE = table.PAGE.read_text()


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    assert set(table.written()) == {room + suffix for room, suffix in table.rooms().items()}


def test_rows_say_what_is_imported() -> None:
    assert table.written() == table.true(), "mend the contract, or: python -m tools.architecture_table --write"


def test_every_room_stands_in_a_layer() -> None:
    """Or no contract would hold for it."""
    assert {room for layer in table.layers() for room in layer} == set(table.rooms())


def test_rows_are_ordered_as_the_layers_are() -> None:
    place = {room: number for number, layer in enumerate(table.layers()) for room in layer}
    order = [place[name.removesuffix("/").removesuffix(".py")] for name in table.written()]
    assert order == sorted(order)


def test_files_that_the_page_names_are_there() -> None:
    """`judge/tally.py` is below orchestrator/, `nodes/...`, `docs/...` and the like below the checkout."""
    named = {name for name in re.findall(r"`([\w./-]+/[\w./-]*\w\.\w+)`", PAGE) if "NAME" not in name}
    assert len(named) > 30
    missing = sorted(
        name for name in named if not any((base / name).exists() for base in (table.ROOT / table.PACKAGE, table.ROOT))
    )
    assert not missing


def test_a_room_that_imports_something_new_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "imports", lambda room: {"cli"} if room == "judge" else set())
    assert table.true()["judge/"] == "cli"
    assert table.true()["judge/"] != table.written()["judge/"]
