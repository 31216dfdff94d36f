"""env.json: the machine that a run was made on, as far as it decides what TCP does."""

from __future__ import annotations

import functools
import os
import platform
from importlib import metadata
from typing import Any

from orchestrator import __version__
from orchestrator.fabric.sysctls import PINNED
from orchestrator.topology.model import Topology

_LIBRARIES = ("requests", "urllib3", "h11", "pyroute2", "docker")


def describe_machine(runtime: str, topology: Topology) -> dict[str, Any]:
    """Kernel, versions, the settings that every node gets, and the Compose variables as used."""
    return {
        "simctl": __version__,
        "runtime": runtime,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
        "cpus": os.cpu_count(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "sysctls": PINNED,
        "variables": dict(topology.variables),
        "nodes": {node.name: {"image": node.image, "sysctls": dict(node.sysctls)} for node in topology.nodes},
    }


@functools.cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
