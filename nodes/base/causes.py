"""Errors of clients by the names that all of them use: the innermost cause, out of what libraries wrapped around it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable


def cause_name(error: BaseException, special: Callable[[list[BaseException]], str | None] = lambda chain: None) -> str:
    """The name of the innermost cause, which shows the side of the race, out of what libraries wrapped around it.

    An errno that Python has no class for stands for itself (EADDRNOTAVAIL: out of ephemeral ports; ETIMEDOUT: the
    kernel gave up). `special` gets all causes, the outermost first, and may know a better name than that of the last
    one's class: which of a library's timeouts it was.
    """
    chain = causes(error)
    last = chain[-1]
    if isinstance(last, socket.gaierror):
        return "NameResolutionError"
    if type(last) in (OSError, TimeoutError) and isinstance(number := getattr(last, "errno", None), int):
        return errno_name(number)
    return special(chain) or type(last).__name__


def errno_name(number: int) -> str:
    """Python's class for it, or the errno itself where Python has none, or one that a library's timeouts have too."""
    known = type(OSError(number, ""))
    return errno.errorcode.get(number, "OSError") if known in (OSError, TimeoutError) else known.__name__


def causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made from, the outermost first."""
    chain = [error]
    while (inner := _inner(chain[-1])) is not None and inner not in chain:
        chain.append(inner)
    return chain


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    inside = [value for value in (reason, *reversed(error.args)) if isinstance(value, BaseException)]
    if inside:
        return inside[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
