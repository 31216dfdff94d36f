"""Runs the command as a real ordinary user whose only right is the group that may use the Docker engine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.system import resources

UID = GID = 65534


class OrdinaryUser:
    """`folder` is the user's own: home, cache, state and current folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *args: str | Path) -> list[str]:
        """The argument vector of simctl, to be started by root."""
        socket = dockerengine.local_socket()
        assert socket is not None
        identity = ["setpriv", f"--reuid={UID}", f"--regid={GID}", f"--groups={socket.stat().st_gid}"]
        simctl = [sys.executable, "-m", "orchestrator", *map(str, args)]
        script = f"{_open_interpreter(self.folder)}exec {shlex.join([*identity, *simctl])}"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder), "SIMCTL_STATE": str(self.folder / "s")}
        kept = {name: value for name, value in os.environ.items() if name != "SIMCTL_PROBE"}
        return kept | own | {"PYTHONPATH": str(resources.ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def simctl(self, *args: str | Path, timeout: float = 120, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            input=input,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )


def _open_interpreter(folder: Path) -> str:
    """Shell commands: where the interpreter lies in a folder that others may not enter, show them this much of it.

    They hold in the mount namespace of the command alone.
    """
    home = Path(sys.base_prefix).resolve()
    closed = next((path for path in reversed(home.parents) if not path.stat().st_mode & 0o001), None)
    if closed is None:
        return ""
    stage = folder / "interpreter"
    stage.mkdir(exist_ok=True)
    words = [
        ["mount", "--bind", home, stage],
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", closed],
        ["mkdir", "-p", home],
        ["mount", "--bind", stage, home],
    ]
    return "".join(f"{shlex.join(map(str, line))}; " for line in words)


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """Skips the test where this checkout, or its libraries, are closed to others."""
    for path in (resources.ROOT, Path(sys.prefix)):
        if not all(each.stat().st_mode & 0o001 for each in (path, *path.parents)):
            pytest.skip(f"{path} is closed to other users")
    folder = Path(tempfile.mkdtemp(prefix="simctl-user-"))  # pytest's own folders are closed to others
    try:
        os.chown(folder, UID, GID)
        yield OrdinaryUser(folder)
    finally:
        shutil.rmtree(folder)
