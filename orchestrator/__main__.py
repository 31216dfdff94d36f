"""Where the command `simctl` begins: what may go wrong before anything of simctl is there is told in one line too."""

# The module `signal` is a while in the making, by enumerations: a signal that comes meanwhile would end in a traceback.
import _signal  # type: ignore[import-not-found]  # of the interpreter itself
import os
import sys

_INTERRUPTED, _ENVIRONMENT = 130, 3
"""As in exitcodes.py, which is not imported yet."""


def main() -> None:
    """Import simctl, which takes a while, and run it. Until then a signal ends it at once: nothing is there yet."""
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
    try:
        from orchestrator.cli.main import main as command
    except (OSError, MemoryError, ImportError) as error:
        if isinstance(error, ImportError) and not _few_files():
            raise
        os.write(2, f"simctl: it could not be loaded: {error}\n  hint: raise the limits (ulimit -n -v -u)\n".encode())
        sys.exit(_ENVIRONMENT)
    command()


def _few_files() -> bool:
    """Whether so few files may be open that a module was not found for that."""
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 64


if __name__ == "__main__":
    main()
