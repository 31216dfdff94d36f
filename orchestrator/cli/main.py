"""The command `simctl`: registers the verbs, and turns every expected error into one message and an exit code.

Modules of verbs import only typer at their top; what is heavy is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from orchestrator.cli import app
from orchestrator.cli.common import print_error
from orchestrator.cli.streams import OutputClosed, watch_results
from orchestrator.errors import SimctlError
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


def main() -> None:
    interrupts.install()
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
    except Exception:  # a bug of ours: Python's own status for it, 1, would say that an expectation failed
        traceback.print_exc()
        sys.exit(ExitCode.ENVIRONMENT)
