"""Names of errors that a client kind can report: those of nodes/README.md, errnos, and what its node.yaml adds."""

from __future__ import annotations

import errno
from fnmatch import fnmatchcase

from orchestrator.kinds.registry import Kind
from orchestrator.text.suggest import did_you_mean

COMMON = (
    "RemoteDisconnected",
    "ConnectionResetError",
    "ConnectionAbortedError",
    "ConnectionRefusedError",
    "BrokenPipeError",
    "ReadTimeout",
    "WriteTimeout",
    "ConnectTimeout",
    "NameResolutionError",
    "IncompleteRead",
    "BadStatusLine",
    "PermissionError",
    "OSError",
)
"""What all kinds call these, whatever their libraries do."""

UNANSWERED = "unanswered"
"""An attempt that a library repeated without a word about why."""

_CLASSES = {name: type(OSError(number, "")).__name__ for number, name in errno.errorcode.items()}
ERRNOS = frozenset(name for name, known in _CLASSES.items() if known in ("OSError", "TimeoutError"))
"""Errnos that stand for themselves. The others have a name in Python, and are told by that."""


def knows(kind: Kind, name: str) -> bool:
    """Whether the kind can report an error of that name."""
    return name in (*COMMON, UNANSWERED) or name in ERRNOS or any(fnmatchcase(name, known) for known in kind.errors)


def hint(kind: Kind, name: str) -> str:
    """What an unknown name was meant to be; what there is, where nothing is near."""
    known = [*COMMON, *(each for each in kind.errors if "*" not in each), *ERRNOS]
    meant = _CLASSES.get(name) or did_you_mean(name, known)
    return f"did you mean {meant}?" if meant else f"`simctl nodes {kind.kind}` lists them"
