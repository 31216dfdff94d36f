"""The command `simctl`: registers the verbs, and turns every expected error into one message and an exit code.

Modules of verbs import only typer at their top; what is heavy is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import sys
import traceback

from orchestrator.cli import app
from orchestrator.cli.common import print_error
from orchestrator.cli.streams import OutputClosed, watch_results
from orchestrator.errors import SimctlError
from orchestrator.exitcodes import ExitCode
from orchestrator.system import interrupts


def main() -> None:
    interrupts.install()
    watch_results()
    from orchestrator.cli import catalogue, determinism, doctor, images, judging, labs, measure, run, show, validate, vm

    for module in (run, determinism, validate, judging, show, labs, measure, catalogue, images, vm, doctor):
        module.register(app)
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
