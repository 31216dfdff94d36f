"""The command `simctl`: registers the verbs, and turns every expected error into one message and an exit code.

Modules of verbs import only typer at their top; what is heavy is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from orchestrator.cli import app
from orchestrator.cli.common import print_error
from orchestrator.cli.streams import OutputClosed, tell, watch_results
from orchestrator.errors import EnvironmentFailure, SimctlError
from orchestrator.exitcodes import ExitCode
from orchestrator.system import interrupts

VERBS = (
    "run", "determinism", "validate", "schema", "verify", "report", "show", "up", "ps", "ss", "exec", "down", "clean",
    "measure", "scenarios", "nodes", "images", "vm", "doctor",
)  # fmt: skip
"""Each is a file beside this one, with a function `register`; in the order of `simctl --help`."""


def _asked_for(arguments: Sequence[str]) -> Sequence[str]:
    """The one verb that is used, or all of them, to be listed."""
    return arguments[:1] if arguments and arguments[0] in VERBS else VERBS


_LIMITS = {
    errno.EMFILE: "too many open files (ulimit -n)",
    errno.ENFILE: "too many open files in the whole machine",
    errno.EAGAIN: "no more processes (ulimit -u, or the pids of a container)",
    errno.ENOMEM: "no more memory",
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
}


def _limit(error: Exception) -> EnvironmentFailure | None:
    """A limit of the machine that an error tells of; None: it is a bug of ours."""
    if isinstance(error, OSError):
        what = _LIMITS.get(error.errno or 0)
        at = f" at {error.filename}" if error.filename else ""
    else:
        thread = isinstance(error, RuntimeError) and "new thread" in str(error)
        what, at = "no more memory, or no more processes" if thread or isinstance(error, MemoryError) else None, ""
    return None if what is None else EnvironmentFailure(f"this machine does not give what simctl needs: {what}{at}")


def _tidy_environment() -> None:
    """rich reads the size itself, and takes what it finds for a number. pydantic asks every installed distribution for
    plugins, which takes a while: ours has none, and another's has no business here."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) < 10_000 and len(value) < 9):
            del os.environ[name]


def main() -> None:
    interrupts.install()
    _tidy_environment()
    watch_results()
    for name in _asked_for(sys.argv[1:]):
        import_module(f"orchestrator.cli.{name}").register(app)
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OutputClosed as error:
        sys.exit(error.exit_code)
    except SimctlError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        told = _limit(error)
        if told is None:  # a bug of ours: Python's own status for it, 1, would say that an expectation failed
            tell(traceback.format_exc())
        else:
            print_error(told)
        sys.exit(ExitCode.ENVIRONMENT)
