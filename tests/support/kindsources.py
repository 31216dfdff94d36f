"""What the source of a node kind in Python says about itself."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.kinds.registry import argv, kind
from orchestrator.system.resources import NODES

_READ = re.compile(r"""(?:knobs\.\w+|environ\.get)\(["']([A-Z_]+)["']""")
_SHARED = ("database", "gunicornserver")
"""Modules of nodes/base that read knobs for the kinds that import them."""


def knobs_read(name: str) -> set[str]:
    """The names of the knobs that the kind's program reads, its own and in what it shares with others."""
    program = Path(argv(kind(name), "python3")[1]).read_text()
    shared = [NODES / "base" / f"{module}.py" for module in _SHARED if re.search(rf"(import|from) {module}\b", program)]
    return {name for text in (program, *(path.read_text() for path in shared)) for name in _READ.findall(text)}
