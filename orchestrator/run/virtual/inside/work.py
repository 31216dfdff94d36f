"""What the guest does: get warm, and carry out one order, by netns, as root, on a kernel of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, SimctlError
from orchestrator.fabric.settings import check_kernel
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.observe.pace import VIRTUAL
from orchestrator.recording.folder import RunFolder
from orchestrator.run.environment import describe_machine
from orchestrator.run.record import record
from orchestrator.run.virtual.inside.rehearsal import rehearse
from orchestrator.run.virtual.order import from_facts, problem_facts
from orchestrator.runtimes.base import Runtime
from orchestrator.runtimes.registry import create_in_guest
from orchestrator.system import zygote
from orchestrator.system.resources import NODES
from orchestrator.topology.model import Topology
from orchestrator.vm import seed

Say = Callable[[str], None]

_SETTLING = 1.0
"""Seconds in which all that was started comes to where it waits."""


def preload(kinds: Mapping[str, Kind]) -> None:
    """Import what the programs of all those kinds need."""
    base = NODES / "base"
    zygote.preload([*zygote.OWN, base / "init.py", *(kind.folder for kind in kinds.values())], base)


@dataclass(frozen=True, slots=True)
class Standby:
    """What is ready for the one run of a thawed machine."""

    kinds: Mapping[str, Kind]
    runtime: Runtime
    """Its probe and its spawner are there."""
    folder: RunFolder


def warm_up(recording: Path, say: Say) -> Standby:
    """Do once what every run would do the first time, and what no order decides."""
    kinds = load_kinds()
    preload(kinds)
    zygote.enable()
    rehearsed = {name: kind for name, kind in kinds.items() if kind.rehearsed}
    if trouble := rehearse(rehearsed, create_in_guest(kinds, say), Path("/run/rehearsal")):
        say(f"vm: the rehearsal failed, runs will be slower: {trouble}")
    folder = RunFolder(recording)
    for path in (folder.path, folder.ss, folder.logs):
        path.mkdir()
    runtime = create_in_guest(kinds, say, folder.logs)
    describe_machine(runtime.name, Topology(Path("rehearsal"), (), ()))  # versions of libraries are looked up once
    time.sleep(_SETTLING)
    return Standby(kinds, runtime, folder)


def carry_out(facts: dict[str, Any], files: Path, standby: Standby, say: Say) -> dict[str, Any]:
    """Execute the order, and leave its recording in the folder and the lab as it is. What is returned says how it
    went."""
    order = from_facts(facts, files)
    if order.options.seed is not None:
        seed.apply(order.options.seed)
    try:
        check_kernel(order.topology)
    except InputError as error:
        return {"wrong": [problem_facts(problem) for problem in error.problems]}
    kinds, runtime, folder = standby.kinds, standby.runtime, standby.folder
    folder.write_environment(describe_machine(runtime.name, order.topology))
    try:
        record(order.scenario, order.topology, kinds, runtime, order.options, folder, say, pace=VIRTUAL, left_up=True)
    except SimctlError as error:
        return {"failed": {"message": error.message, "hint": error.hint, "detail": error.detail}}
    return {}
