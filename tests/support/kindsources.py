"""What the source of a node kind in Python says about itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from orchestrator.kinds.registry import argv, kind
from orchestrator.system.resources import NODES

_READ = re.compile(r"""(?:knobs\.\w+|environ\.get)\(["']([A-Z_]+)["']""")
_SHARED = ("database", "gunicornserver")
"""Modules of nodes/base that read knobs for the kinds that import them."""


def knobs_read(name: str, file: str | None = None) -> set[str]:
    """The names of the knobs that the kind's program (or a file beside it) reads, its own and in what it shares with
    others."""
    program = (NODES / name / file if file else Path(argv(kind(name), "python3")[1])).read_text()
    shared = [NODES / "base" / f"{module}.py" for module in _SHARED if re.search(rf"(import|from) {module}\b", program)]
    found = {name for text in (program, *(path.read_text() for path in shared)) for name in _READ.findall(text)}
    return found | {knob for function, knobs in socket_knobs().items() if f"{function}(" in program for knob in knobs}


def socket_knobs() -> dict[str, set[str]]:
    """Function of nodes/base/socketoptions.py -> the knobs that it reads, by itself and by those that it calls."""
    tree = ast.parse((NODES / "base" / "socketoptions.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    probing = {"TCP_KEEPALIVE_TIME", "TCP_KEEPALIVE_INTERVAL", "TCP_KEEPALIVE_PROBES"}
    found: dict[str, set[str]] = {}
    for _ in functions:  # whatever their order
        for node in functions:
            text = ast.unparse(node)
            found[node.name] = {*_READ.findall(text), *(probing if "_PROBING" in text else ())}
            found[node.name] |= {
                knob for other, knobs in found.items() if other != node.name and f"{other}(" in text for knob in knobs
            }
    return found
