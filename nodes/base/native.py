"""Starts a program that is not ours, with a configuration made from the knobs.

A kind's `run.py` says how: `native.main("nginx", command)`, where `command(knobs, folder)` writes what the program
reads into `folder` and returns its command line. The program takes the place of this process, so its standard streams,
its signals and its exit status are its own, and what it says about a configuration that it refuses is seen as it is.

Started with SIMCTL_RELOAD=1 beside a program that runs, it writes that program's configuration anew and ends: simctl
then sends the signal that node.yaml has for `reload`. What takes a command instead says so with `reload`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from knobs import KnobError, Knobs, refuse_arguments

_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Servers are installed in sbin, which the PATH of an ordinary user lacks."""


def main(
    kind: str,
    command: Callable[[Knobs, Path], Sequence[str]],
    *,
    package: str,
    reload: Callable[[Path], Sequence[str]] | None = None,
    environment: Callable[[], dict[str, str]] = dict,
) -> NoReturn:
    """Become the program. `package` is the Debian package that brings it; `environment` is added to our own. `reload`
    gives the command that has the running program read its folder again."""
    folder = _folder(kind, running=reloading())
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM}".lstrip(":")
    try:
        refuse_arguments(kind, sys.argv[1:])
        line = list(command(Knobs(), folder))
        if reloading():
            if reload is None:
                sys.exit(0)
            line = list(reload(folder))
        program = shutil.which(line[0])
        if program is None:
            end(kind, f"there is no program {line[0]} here: install the Debian package {package}", 127)
        os.environ.update(environment())
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(program, line)
    except KnobError as error:
        end(kind, str(error), 2)
    except OSError as error:
        end(kind, f"{error.filename or line[0]}: {error.strerror}", 126)


def reloading() -> bool:
    """Whether the program runs already, and is only to get another configuration."""
    return os.environ.get("SIMCTL_RELOAD") == "1"


def _folder(kind: str, *, running: bool) -> Path:
    """Where the program's files are: of the one that runs, or a new one. A node has a /tmp of its own, which goes with
    it."""
    current = Path(tempfile.gettempdir(), f"{kind}.running")
    if running:
        return current.resolve()
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    folder.chmod(0o755)
    current.unlink(missing_ok=True)
    current.symlink_to(folder)
    return folder


def end(kind: str, message: str, status: int) -> NoReturn:
    """End with one line for the user."""
    print(f"{kind}: {message}", file=sys.stderr)
    sys.exit(status)
