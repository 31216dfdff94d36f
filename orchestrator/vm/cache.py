"""Where images and snapshots are kept: $XDG_CACHE_HOME/simctl/vm (~/.cache/simctl/vm).

image-KEY/, snapshot-KEY/   finished, never changed again
    used-by-CHECKOUT        when the simctl of that checkout used it last: one does not push out what another uses
partial-PID-.../            being made; whatever is left of a simctl that was killed is removed by the next one
lock                        held while something is made

All checkouts of a user share the cache, and what is made from the same is made once. Whoever uses a folder holds it
(flock), so that nobody removes it under a run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.system import usercache
from orchestrator.system.storage import storage_errors
from orchestrator.text.progress import Progress

_PARTIAL = "partial-"
_USED_BY = "used-by-"
_CHECKOUT = hashlib.sha256(os.fsencode(Path(__file__).resolve().parents[2])).hexdigest()[:12]
_WAITING = "vm: waiting for another simctl that makes an image or a snapshot"
_HINT = "free some space, or point XDG_CACHE_HOME to another disk"


def location() -> Path:
    """Where the cache is, or would be."""
    return usercache.location() / "vm"


def folder() -> Path:
    """The cache, made when it is not there. Raises EnvironmentFailure."""
    return usercache.make_folder(location())


class Held:
    """A finished folder that stays until this is closed, or its process is gone."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Let it be removed. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def obtain(name: str, make: Callable[[Path], None], *, space: int, progress: Progress) -> Held:
    """As make_once; nobody removes what is returned as long as it is held."""
    while True:
        path = make_once(name, make, space=space, progress=progress)
        if (held := _hold(path)) is not None:
            with suppress(OSError):  # used now, and by us
                (path / f"{_USED_BY}{_CHECKOUT}").touch()
                os.utime(path)
            return held


def _hold(path: Path) -> Held | None:
    """None when it was removed meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    held = Held(path, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with suppress(FileNotFoundError):  # it may have gone, or be another one, by the time that the lock was ours
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            return held
    return None


def make_once(name: str, make: Callable[[Path], None], *, space: int, progress: Progress) -> Path:
    """The folder `name` of the cache. When it is not there, `make` fills it; until that is done nobody sees it.

    One simctl of this user makes at a time. `space` is how many bytes must be free. Raises EnvironmentFailure.
    """
    path = folder() / name
    if path.is_dir():
        return path
    with usercache.locked(folder() / "lock", _WAITING, progress):
        if path.is_dir():
            return path
        _remove_leftovers()
        _check_space(space)
        partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{os.getpid()}-", dir=folder()))
        try:
            with storage_errors(folder(), hint=_HINT):
                make(partial)
            partial.chmod(0o755)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return path


def remove(path: Path) -> bool:
    """Remove a finished folder, by another name first, so that nobody takes half of it for the whole.

    Returns False, and leaves it, when somebody holds it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = path.rename(path.with_name(f"{_PARTIAL}{os.getpid()}-{path.name}"))
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    finally:
        os.close(descriptor)
    shutil.rmtree(path, ignore_errors=True)
    return True


def keep_newest(kind: str, *, each: int, total: int) -> None:
    """Of the folders `KIND-*` keep what any checkout used last, `each` of them, as far as they take `total` bytes
    together: those that were used longest ago go first. What is held stays."""
    paths = entries(kind)
    uses = {path: _uses(path) for path in paths}
    wanted: set[Path] = set()
    for checkout in {name for used in uses.values() for name in used}:
        its_own = [path for path in paths if checkout in uses[path]]
        wanted.update(sorted(its_own, key=lambda path: uses[path][checkout], reverse=True)[:each])
    taken = 0
    for path in paths:
        with suppress(FileNotFoundError):  # somebody else removed it
            taken += disk_usage(path)
            if path not in wanted or taken > total:
                remove(path)


def _uses(path: Path) -> dict[str, float]:
    """Checkout -> when it used the folder last. What an older simctl made belongs to a nameless one."""
    with suppress(FileNotFoundError):
        found = {mark.name: mark.stat().st_mtime for mark in path.glob(f"{_USED_BY}*")}
        return found or {"": path.stat().st_mtime}
    return {}


def entries(kind: str) -> list[Path]:
    """The finished folders `KIND-*`, the one used last first."""
    found = [path for path in folder().glob(f"{kind}-*") if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def disk_usage(path: Path) -> int:
    """Bytes that the folder takes on the disk; holes in sparse files take none."""
    return sum(file.stat().st_blocks * 512 for file in path.iterdir() if file.is_file())


def _remove_leftovers() -> None:
    """The lock is ours, so whoever made them is gone, or waits for it."""
    for path in folder().glob(f"{_PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def _check_space(needed: int) -> None:
    free = shutil.disk_usage(folder()).free
    if free < needed:
        raise EnvironmentFailure(
            f"{folder()} has {free / 1e9:.1f} GB free, and this needs {needed / 1e9:.1f} GB", hint=_HINT
        )
