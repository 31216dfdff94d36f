"""What the guest does: get warm, and carry out one order, by netns, as root, on a kernel of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.environment import describe_machine
from orchestrator.errors import SimctlError
from orchestrator.recording.folder import RunFolder
from orchestrator.run import record
from orchestrator.runtimes.netns import NetnsRuntime
from orchestrator.topology.kinds import load_kinds
from orchestrator.vm.order import from_facts

PERIOD = 1.0
"""Seconds of virtual time between samples. A sample of two nodes takes some 2 million instructions, 10 ms of real time,
and the kernel's trace is always there."""

Say = Callable[[str], None]


class VirtualRuntime(NetnsRuntime):
    """Nodes as under netns, in virtual time."""

    name = "vm"


def warm_up(say: Say) -> None:
    """Do once what every run would do the first time."""
    load_kinds()


def carry_out(facts: dict[str, Any], files: Path, recording: Path, say: Say) -> dict[str, Any]:
    """Execute the order and leave its recording in a folder. What is returned says how it went."""
    order = from_facts(facts, files)
    kinds = load_kinds()
    runtime = VirtualRuntime(kinds, allow_exec=True)
    folder = RunFolder(recording)
    for path in (folder.path, folder.ss, folder.logs):
        path.mkdir()
    folder.write_environment(describe_machine(runtime.name, order.topology))
    try:
        record(
            order.scenario, order.topology, kinds, runtime, order.options, folder, say, clock="virtual", period=PERIOD
        )
    except SimctlError as error:
        return {"failed": {"message": error.message, "hint": error.hint, "detail": error.detail}}
    return {}
