"""Which of our modules the image of the probe needs: those that its programs import, and what these import.

Found by reading, not listed by hand: a list would be wrong the day after it was written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
_PROGRAMS = ("orchestrator.observe.probe", "orchestrator.runtimes.docker.pids")
"""What is run in the container."""


@cache
def probe_sources() -> dict[str, Path]:
    """Name in the build context -> file, sorted by name."""
    found: dict[str, Path] = {}
    waiting = list(_PROGRAMS)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        name = path.relative_to(_PACKAGE.parent).as_posix() if path else ""
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [module.rpartition(".")[0], *_imports(path)]
    return dict(sorted(found.items()))


def _file(module: str) -> Path | None:
    """The file of a module of ours; None when that is no module."""
    *parents, last = module.split(".")
    if module.split(".")[0] != _PACKAGE.name:
        return None
    folder = _PACKAGE.parent.joinpath(*parents)
    candidates = (folder / f"{last}.py", folder / last / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file may import, wherever the import stands, but for those that only a type checker follows.
    All our imports are absolute."""
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
