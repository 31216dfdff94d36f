"""Which node kinds a scenario probably has: a glance at its text, before anything can be imported that reads YAML."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.system.resources import NODES, SCENARIOS
from orchestrator.text.files import read_regular

_GLANCE = 1 << 16
"""Bytes of a file that are looked at."""

_MOST = 4
"""Kinds: what is imported for a node that nobody makes is time lost."""

_TOPOLOGY = re.compile(rb"^topology:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_IMAGE = re.compile(rb"^[ \t]*image:[ \t]*[\"']?simctl/(?:\$\{\w+:?-)?([a-z0-9-]+)", re.MULTILINE)


def likely_kinds(scenario: str) -> list[str]:
    """Of a scenario as a command line names it. A wrong guess costs time, and nothing else: no error is told here."""
    try:
        for path in (Path(scenario), SCENARIOS / f"{scenario}.yaml"):
            if path.is_file() and (topology := _TOPOLOGY.search(read_regular(path, _GLANCE))):
                file = path.parent / topology[1].decode()
                named = _IMAGE.findall(read_regular(file, _GLANCE))
                return [kind for kind in dict.fromkeys(one.decode() for one in named) if (NODES / kind).is_dir()][
                    :_MOST
                ]
    except (OSError, ValueError):
        pass
    return []
