"""Every exit code of the command, in one place."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell or a CI job sees when simctl ends."""

    PASS = 0
    FAIL = 1
    """An expectation failed."""
    USAGE = 2
    """Bad usage, a bad scenario or a bad topology: nothing was started."""
    ENVIRONMENT = 3
    """The machine, the runtime or a node failed: nothing was proved."""
    UNKNOWN = 4
    """No expectation failed, but at least one could not be decided."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM, after an orderly teardown."""
    OUTPUT_CLOSED = 141
    """The reader of the output went away (`simctl ... | head`): as a program that SIGPIPE ends."""
