"""One way to be interrupted: Ctrl-C, SIGTERM and SIGHUP all raise KeyboardInterrupt in the main thread, once."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

from orchestrator.errors import SimctlError

_SOON = 0.01
"""Seconds."""

_came = False

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def install() -> None:
    """From here on the first signal interrupts; those that come later do not disturb the teardown.

    A shell without job control starts `simctl run ... &` with SIGINT and SIGQUIT ignored (POSIX, 2.11), and what is
    ignored is inherited: so are `make test &` and most CI systems. Whoever sends SIGINT to that process means it, so it
    is heeded all the same. Only a hang-up stays ignored: that is what nohup was asked for.
    """
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    sys.unraisablehook = _lost


def _lost(found: sys.UnraisableHookArgs) -> None:
    """A callback whose exceptions Python ignores (a destructor, a weak reference's) met the signal. It comes again when
    that is over: an interrupt is never lost, or nobody could interrupt any more."""
    if found.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(found)
        return
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _SOON)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """A library that calls us back may make an error of its own of the interrupt that met the callback (pydantic_core
    does, when it builds a validator): it is the interrupt all the same."""
    try:
        yield
    except SimctlError:
        raise
    except Exception:
        if _came:
            raise KeyboardInterrupt from None
        raise


def _interrupt(number: int, frame: object) -> None:
    global _came
    _came = True
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
