"""Starts a program that is not ours, with a configuration made from the knobs.

A kind's `run.py` says how: `native.main("nginx", command)`, where `command(knobs, folder)` writes what the program
reads into `folder` and returns its command line. The program takes the place of this process, so its standard streams,
its signals and its exit status are its own, and what it says about a configuration that it refuses is seen as it is.
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
    environment: Callable[[], dict[str, str]] = dict,
) -> NoReturn:
    """Become the program. `package` is the Debian package that brings it; `environment` is added to our own."""
    # A node has a /tmp of its own, which goes with it.
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    folder.chmod(0o755)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM}".lstrip(":")
    try:
        refuse_arguments(kind, sys.argv[1:])
        line = list(command(Knobs(), folder))
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


def end(kind: str, message: str, status: int) -> NoReturn:
    """End with one line for the user."""
    print(f"{kind}: {message}", file=sys.stderr)
    sys.exit(status)
