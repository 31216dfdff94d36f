"""Which version of its software a node kind runs with on this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from importlib import metadata

from orchestrator import __version__
from orchestrator.kinds.registry import Kind

NOT_HERE = "(not installed here)"

_EPOCH = re.compile(r"^[0-9]+:")
_REVISION = re.compile(r"(-[^-]*|~[0-9]+)$")
"""What Debian adds to the software's own version: deb-version(7)."""


def versions(kinds: Iterable[Kind]) -> dict[str, str]:
    """Kind -> version: of what its first need names (package, wheel), of its Python distribution, else simctl's own."""
    kinds = list(kinds)
    installed = _debian({kind.needs[0].package for kind in kinds if kind.needs and kind.needs[0].package})
    return {kind.kind: _version(kind, installed) for kind in kinds}


def _version(kind: Kind, installed: dict[str, str]) -> str:
    if kind.needs:
        first = kind.needs[0]
        return (installed.get(first.package) if first.package else first.installed) or NOT_HERE
    if kind.distribution is None:
        return __version__
    try:
        return metadata.version(kind.distribution)
    except metadata.PackageNotFoundError:
        return NOT_HERE


def _debian(packages: set[str]) -> dict[str, str]:
    """Package -> upstream version of those that are installed; empty where there is no dpkg."""
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status} ${Version}\\n", *sorted(packages)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split() for line in told.splitlines())
    return {row[0]: _upstream(row[2]) for row in rows if len(row) == 3 and row[1] == "installed"}


def _upstream(version: str) -> str:
    return re.sub(r"[+~]dfsg.*$", "", _REVISION.sub("", _EPOCH.sub("", version)))
