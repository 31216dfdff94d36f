"""The errors that a user can cause or meet. Each is one message; the CLI prints it and exits with its code.

A message says what was expected, where, and what to do. Anything else that escapes is a bug in simctl and keeps
its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.exitcodes import ExitCode


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file, 1-based, as editors and compilers print it."""

    path: Path | str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [str(self.path)]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


class SimctlError(Exception):
    """Base of every error that is reported without a traceback.

    `message` is one line; `hint` says what to do; `detail` holds further lines (a node's last log lines, say).
    """

    exit_code = ExitCode.ENVIRONMENT

    def __init__(
        self, message: str, *, place: Place | None = None, hint: str | None = None, detail: list[str] | None = None
    ) -> None:
        self.message = message
        self.place = place
        self.hint = hint
        self.detail = detail or []
        super().__init__(str(self))

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InputError(SimctlError):
    """A scenario, a topology, a recording or the command line is wrong. `problems` holds all that were found."""

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        message: str,
        *,
        place: Place | None = None,
        hint: str | None = None,
        detail: list[str] | None = None,
        problems: list[InputError] | None = None,
    ) -> None:
        super().__init__(message, place=place, hint=hint, detail=detail)
        self.problems = problems or [self]


class EnvironmentFailure(SimctlError):
    """The machine lacks something, or the runtime or a node failed."""

    exit_code = ExitCode.ENVIRONMENT


class NodeFailure(EnvironmentFailure):
    """A node died or never got ready. `detail` has its last log lines."""


class Interrupted(SimctlError):
    """The user asked to stop."""

    exit_code = ExitCode.INTERRUPTED
