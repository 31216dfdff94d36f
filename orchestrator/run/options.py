"""What the command line decides about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.lab.readytimeout import READY_TIMEOUT
from orchestrator.runtimes.registry import AUTO, virtual_time
from orchestrator.text.record import record


@record
class Options:
    """`variables` go above the scenario's `set`."""

    runtime: str = AUTO
    variables: Mapping[str, str] = field(default_factory=dict)
    output: Path = Path("runs")
    allow_exec: bool = False
    capture: bool = False
    ready_timeout: float = READY_TIMEOUT
    cell: Mapping[str, str] = field(default_factory=dict)
    """Of a matrix: these go above `variables`, and the report is named after them."""
    seed: int | None = None
    """Of a virtual machine; see orchestrator/vm/seed.py. Without one every run is the same."""
    afterwards: tuple[str, ...] = ()
    """Modules that whoever asked for the run needs after it: imported while it goes on."""


def check_seed(runtime: str, seed: int | None) -> None:
    """Raise InputError for a seed with a runtime that has no use for it."""
    virtual = virtual_time().name
    if seed is not None and runtime != virtual:
        raise InputError(
            f"a seed changes nothing under {runtime}: there no two runs are the same anyway",
            hint=f"use --runtime {virtual}",
        )
