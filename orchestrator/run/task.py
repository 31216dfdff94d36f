"""One run of several, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Union

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.run.options import Options
from orchestrator.text.record import record

if TYPE_CHECKING:
    from orchestrator.analysis.report import RunReport


@record
class Task:
    """One run. `label` stands before each line of its progress."""

    label: str
    path: Path
    options: Options


Result = Union["RunReport", InputError, EnvironmentFailure]
Done = Callable[[int, Result], None]
"""Is told of each task that ended: its place in the list, and its report or why there is none."""
