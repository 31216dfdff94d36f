"""What simctl keeps for its user between runs: $XDG_CACHE_HOME/simctl (~/.cache/simctl)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import EnvironmentFailure


def location() -> Path:
    """Where the cache is, or would be."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "simctl"


def make_folder(path: Path) -> Path:
    """A folder of the cache, made when it is not there. Raises EnvironmentFailure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot make the folder {path}: {error.strerror}", hint="point XDG_CACHE_HOME to one that can be written"
        ) from None
    return path


@contextmanager
def locked(path: Path, waiting: str, progress: Callable[[str], None]) -> Iterator[None]:
    """One simctl of this user at a time; `waiting` is told when another one is first. `path`: the lock's file.

    The kernel frees the lock of a process that ends, however it ends.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
