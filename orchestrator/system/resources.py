"""Finds the bundled library: scenarios, topologies and node kinds.

In a checkout they are top-level folders beside this package; in an installed wheel they lie in `_bundled`. Their
relative layout is the same in both, so `topology: ../compose/x.yaml` in a scenario works in both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_bundled"
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent

COMPOSE = ROOT / "compose"
NODES = ROOT / "nodes"
SCENARIOS = ROOT / "scenarios"
