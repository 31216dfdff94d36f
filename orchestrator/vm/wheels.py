"""The Python libraries of the guest: the versions that are installed here, made for the guest's Python."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.vm.recipe import PYTHON, Recipe

_GLIBC = 36
"""bookworm's is 2.36: wheels for this or an older one run there."""
_LOG_TAIL = 15


def install(recipe: Recipe, target: Path) -> None:
    """Put the libraries into the folder `target`. Raises EnvironmentFailure."""
    platforms = ["manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(_GLIBC, 4, -1))]
    tag = "cp" + PYTHON.replace(".", "")
    with tempfile.NamedTemporaryFile("w", prefix="simctl-constraints-", suffix=".txt") as constraints:
        constraints.write("\n".join(recipe.constraints) + "\n")
        constraints.flush()
        command = [
            *_pip(), "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile",
            "--target", str(target), "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp",
            "--abi", tag, "--abi", "abi3", "--abi", "none",
            *(word for platform in platforms for word in ("--platform", platform)),
            "--constraint", constraints.name, *recipe.requirements,
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
            f"pip could not get simctl's Python libraries for the guest's Python {PYTHON}",
            hint="it needs an index of Python packages: the network to PyPI, or one of yours in PIP_INDEX_URL",
            detail=[line for line in done.stdout.splitlines() if re.search(r"\w", line)][-_LOG_TAIL:],
        )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise EnvironmentFailure(
            f"{sys.executable} has no pip, which the guest's Python libraries are made with",
            hint=f"{sys.executable} -m ensurepip, or: uv pip install pip",
        )
    return [sys.executable, "-m", "pip"]
