"""Python libraries for Debian bookworm: its Python is that of the virtual machine and of the images."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import EnvironmentFailure

PYTHON = "3.11"
"""bookworm's. Libraries with compiled code must be made for it."""

_GLIBC = 36
"""bookworm's is 2.36: wheels for this or an older one run there."""
_LOG_TAIL = 15


def install(
    requirements: Iterable[str], target: Path, *, what: str, constraints: Iterable[str] = (), machine: str = "x86_64"
) -> None:
    """Put libraries, `name==version` each, and what they need into the folder `target`. `what` they are, for the error.
    `machine`: as `uname -m` of the machine that will run them. Raises EnvironmentFailure."""
    platforms = [f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC, 4, -1))]
    tag = "cp" + PYTHON.replace(".", "")
    with tempfile.NamedTemporaryFile("w", prefix="simctl-constraints-", suffix=".txt") as limits:
        limits.write("".join(f"{each}\n" for each in constraints))
        limits.flush()
        command = [
            *_pip(), "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile",
            "--target", str(target), "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp",
            "--abi", tag, "--abi", "abi3", "--abi", "none",
            *(word for platform in platforms for word in ("--platform", platform)),
            "--constraint", limits.name, *requirements,
        ]  # fmt: skip
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        raise EnvironmentFailure(
            f"pip could not get {what} for Debian's Python {PYTHON} on {machine}",
            hint="it needs an index of Python packages: the network to PyPI, or one of yours in PIP_INDEX_URL",
            detail=[line for line in done.stdout.splitlines() if re.search(r"\w", line)][-_LOG_TAIL:],
        )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise EnvironmentFailure(
            f"{sys.executable} has no pip, which Python libraries are fetched with",
            hint=f"{sys.executable} -m ensurepip, or: uv pip install pip",
        )
    return [sys.executable, "-m", "pip"]
