"""Programs in Go: compiled once, and kept in a cache by the hash of what they were made from.

Only Go's own standard library is used, so nothing is fetched. `compiled/NAME` in the kind's folder, which an image has
instead of a compiler, is taken before the cache.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from cache import cache_folder

_SOURCES = ("*.go", "go.mod")
_BUILD = ("build", "-buildvcs=false", "-ldflags=-s -w")


def program(folder: Path) -> Path:
    """The program of the node kind in `folder`. Ends the process, with one line, where it cannot be compiled."""
    compiled = in_image(folder)
    return compiled if compiled.is_file() else cached(folder)


def in_image(folder: Path) -> Path:
    """Where an image has the program of the kind in `folder`."""
    return folder / "compiled" / folder.name


def cached(folder: Path) -> Path:
    """The program in the cache ($XDG_CACHE_HOME/simctl/go), compiled if it is not there. Raises OSError."""
    made_from = sha256(_version(_go()).encode())
    for path in _sources(folder):
        made_from.update(b"\0" + path.read_bytes())
    cache = cache_folder("go")
    target = cache / made_from.hexdigest()[:16] / folder.name
    if not target.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("a") as lock:
            # One after the other: most of the work is Go's library, which the second finds done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_file():
                compile_to(target, folder, cache / "library")
    return target


def compile_to(target: Path, folder: Path, library: Path | None = None) -> None:
    """Compile the kind in `folder`, all or nothing. `library`: what is compiled of Go's own may stay there; it is also
    what a compilation that was killed leaves to the next. Raises OSError."""
    go = _go()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compile-", dir=target.parent) as work:
        made = Path(work) / folder.name
        done = subprocess.run(
            [str(go), *_BUILD, "-o", str(made), "."],
            cwd=folder,
            env=_environment(Path(work), library or Path(work) / "library"),
            stdin=subprocess.DEVNULL,
            stdout=2,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{folder.name}: the Go compiler failed, see above")
        made.replace(target)


def _go() -> Path:
    found = shutil.which("go")
    if found is None:
        sys.exit("there is no Go compiler here: install the Debian package golang-go")
    return Path(found).resolve()


def _version(go: Path) -> str:
    """`go1.19.8`, without starting the compiler, which takes longer than all the rest of a start."""
    named = go.parent.parent / "VERSION"
    return named.read_text() if named.is_file() else str(go)


def _sources(folder: Path) -> list[Path]:
    return sorted(path for pattern in _SOURCES for path in folder.glob(pattern))


def _environment(work: Path, library: Path) -> dict[str, str]:
    """No network, no C compiler, nothing of the user's settings."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(work),
        "GOCACHE": str(library),
        "GOPATH": str(work / "path"),
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
