"""The last column of the table of rooms in docs/architecture.md: `python -m tools.architecture_table [--write]`.

What a room imports is read from its files. That it may is checked elsewhere, by the contracts in pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = "orchestrator"
GROUND = ("text", "system", "tcp", "errors", "bounds", "exitcodes")
"""What everybody may import, and the table does not repeat."""

_ROW = re.compile(r"^\| `(?P<room>[a-z]+)(?P<suffix>/|\.py)` \| (?P<what>.*) \| (?P<imports>[^|]*) \|$", re.MULTILINE)


def layers() -> list[list[str]]:
    """The rooms of the contract of layers, the highest first; several in one layer do not import each other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [one for one in settings["contracts"] if one["type"] == "layers"]
    return [[name.strip().removeprefix(f"{PACKAGE}.") for name in layer.split("|")] for layer in contract["layers"]]


def rooms() -> dict[str, str]:
    """Every folder and every file that stands directly in the package: its name -> `/` or `.py`."""
    found = {path.parent.name: "/" for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    return found | {path.stem: ".py" for path in (ROOT / PACKAGE).glob("*.py") if not path.stem.startswith("__")}


def imports(room: str) -> set[str]:
    """The other rooms that the files of this one import, anywhere in them."""
    package = ROOT / PACKAGE
    files = sorted((package / room).rglob("*.py")) or [package / f"{room}.py"]
    found = {name for file in files for name in _imported(ast.parse(file.read_text()))}
    return (found & rooms().keys()) - {room}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def column(room: str, order: Mapping[str, int]) -> str:
    """What stands in a room's last column."""
    found = sorted(imports(room) - set(GROUND), key=lambda name: (-order[name], name))
    return ", ".join(found) or "-"


def written() -> dict[str, str]:
    """Room with its suffix (`judge/`) -> the last column, as the page has them."""
    return {row["room"] + row["suffix"]: row["imports"] for row in _ROW.finditer(PAGE.read_text())}


def true() -> dict[str, str]:
    """The same, as it should be."""
    order = {room: place for place, layer in enumerate(layers()) for room in layer}
    return {room + suffix: column(room, order) for room, suffix in rooms().items()}


def main() -> int:
    """Exit status 1 when the page was, or is, wrong."""
    now = true()
    wrong = sorted(room for room in {*now, *written()} if now.get(room) != written().get(room))
    for room in wrong:
        print(f"{room}: the page has {written().get(room, 'no row')!r}, its files import {now.get(room, 'nothing')!r}")
    if "--write" in sys.argv:

        def row(found: re.Match[str]) -> str:
            name = found["room"] + found["suffix"]
            return f"| `{name}` | {found['what']} | {now.get(name, found['imports'])} |"

        PAGE.write_text(_ROW.sub(row, PAGE.read_text()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
