"""The errors that a user can cause or meet. Each is one message; the CLI prints it and exits with its code.

A message says what was expected, where, and what to do. Anything else that escapes is a bug in simctl and keeps
its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bounds import PROBLEMS
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


class Gathered(list[InputError]):
    """The problems of one file while it is read. The last that may be told raises them all: a file of a thousand
    mistakes is not read to its end."""

    def __init__(self, path: Path | str, where: str = "") -> None:
        super().__init__()
        self._path = path
        self._where = where

    def append(self, problem: InputError) -> None:
        super().append(problem)
        if len(self) >= PROBLEMS.limit:
            self.raise_all()

    def raise_all(self) -> None:
        """Raise one error that holds all; nothing when there are none."""
        raise_problems(self, self._path, self._where)


def raise_problems(problems: Iterable[InputError], path: Path | str, where: str = "") -> None:
    """Raise one error that holds the problems of a file, each once, in the file's order; nothing when there are none.
    Of very many only the first ones.

    `where` ends its message: `3 problems in this topology`.
    """
    unique = {(str(problem.place), problem.message): problem for problem in problems}
    ordered = sorted(unique.values(), key=_position)
    if len(ordered) == 1:
        raise ordered[0]
    if ordered:
        more = "the first " if len(ordered) >= PROBLEMS.limit else ""
        message = f"{more}{min(len(ordered), PROBLEMS.limit)} problems {where}".rstrip()
        raise InputError(message, place=Place(path), problems=ordered[: PROBLEMS.limit])


def _position(problem: InputError) -> tuple[bool, int, int]:
    """What has no place in the file comes last."""
    place = problem.place
    return (False, place.line or 0, place.column or 0) if place is not None else (True, 0, 0)


class EnvironmentFailure(SimctlError):
    """The machine lacks something, or the runtime or a node failed."""

    exit_code = ExitCode.ENVIRONMENT


class NodeFailure(EnvironmentFailure):
    """A node died or never got ready. `detail` has its last log lines."""


class Interrupted(SimctlError):
    """The user asked to stop."""

    exit_code = ExitCode.INTERRUPTED
