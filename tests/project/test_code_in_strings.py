"""Programs that tests and pages hold as text: no linter reads them, so a module that moved is noticed here."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
IMPORTS = re.compile(r"from ((?:orchestrator|nodes|bench|tests|tools)(?:\.\w+)*) import (\w+)")
# The pages for contributors import the toys that they have just told the reader to write.
NEW_IN_THE_PAGES = {
    ("orchestrator.fabric.faults.cable", "Cable"),
    ("orchestrator.scenario.steps.plug", "Plug"),
    ("orchestrator.runtimes.unshare.runtime", "UnshareRuntime"),
    ("orchestrator.scenario.steps.freeze", "Freeze"),
}


def test_every_import_that_stands_in_a_text_finds_its_module() -> None:
    seen = 0
    lost = []
    for file in _texts():
        if file.suffix not in {".py", ".md", ".sh", ".toml", ".yaml"} or not file.is_file():
            continue
        name = file.relative_to(ROOT)
        for module, what in set(IMPORTS.findall(file.read_text(encoding="utf-8"))) - NEW_IN_THE_PAGES:
            seen += 1
            if not _exists(module, what):
                lost.append(f"{name}: from {module} import {what}")
    assert seen > 100
    assert not lost


def _texts() -> Iterator[Path]:
    yield from ROOT.glob("*.*")
    for folder in ("bench", "compose", "docs", "nodes", "orchestrator", "scenarios", "tests", "tools"):
        yield from (ROOT / folder).rglob("*.*")


def _exists(module: str, what: str) -> bool:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    if found is None:
        return False
    places = [Path(place) for place in found.submodule_search_locations or []]
    if any((place / f"{what}.py").is_file() or (place / what).is_dir() for place in places):
        return True
    return found.origin is not None and re.search(rf"\b{what}\b", Path(found.origin).read_text()) is not None
