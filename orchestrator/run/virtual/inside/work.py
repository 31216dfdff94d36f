"""What the guest does: get warm, and carry out one order, by netns, as root, on a kernel of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import SimctlError
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.observe.pace import VIRTUAL
from orchestrator.recording.folder import RunFolder
from orchestrator.run.environment import describe_machine
from orchestrator.run.record import record
from orchestrator.run.virtual.inside.rehearsal import rehearse
from orchestrator.run.virtual.order import from_facts
from orchestrator.runtimes.registry import create_in_guest
from orchestrator.system import zygote
from orchestrator.system.resources import NODES
from orchestrator.vm import seed

Say = Callable[[str], None]


def preload(kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """Import what the programs of those kinds need that most runs use; returns these kinds.

    All kinds would make the memory that every run begins with several times as large.
    """
    often = {name: kind for name, kind in kinds.items() if kind.rehearsed}
    base = NODES / "base"
    zygote.preload([*zygote.OWN, base / "init.py", *(kind.folder for kind in often.values())], base)
    return often


def warm_up(say: Say) -> Mapping[str, Kind]:
    """Do once what every run would do the first time. Returns the node kinds."""
    kinds = load_kinds()
    often = preload(kinds)
    zygote.enable()
    if trouble := rehearse(often, create_in_guest(kinds, say), Path("/run/rehearsal")):
        say(f"vm: the rehearsal failed, runs will be slower: {trouble}")
    return kinds


def carry_out(
    facts: dict[str, Any], files: Path, kinds: Mapping[str, Kind], recording: Path, say: Say
) -> dict[str, Any]:
    """Execute the order and leave its recording in a folder. What is returned says how it went."""
    order = from_facts(facts, files)
    if order.options.seed is not None:
        seed.apply(order.options.seed)
    runtime = create_in_guest(kinds, say)
    folder = RunFolder(recording)
    for path in (folder.path, folder.ss, folder.logs):
        path.mkdir()
    folder.write_environment(describe_machine(runtime.name, order.topology))
    try:
        record(order.scenario, order.topology, kinds, runtime, order.options, folder, say, pace=VIRTUAL)
    except SimctlError as error:
        return {"failed": {"message": error.message, "hint": error.hint, "detail": error.detail}}
    return {}
