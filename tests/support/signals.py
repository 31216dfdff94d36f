"""Signals as tests expect them, whoever started pytest."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

_OURS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def heed() -> None:
    """Take back what `make test &` or nohup had this process ignore, for whatever it starts.

    A shell starts background jobs with SIGINT and SIGQUIT ignored, nohup ignores SIGHUP, and what is ignored is
    inherited through fork and exec, so that every test of Ctrl-C would wait for nothing. What is handled is at its
    default after exec. This process itself goes on ignoring a hang-up: that is what nohup was asked for.
    """
    for number in _OURS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _AGAIN[number])


def _ignored(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing is not inherited, SIG_IGN is."""


_AGAIN: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: _ignored,
}
