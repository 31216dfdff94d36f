"""One execution of a scenario, from its file to its verdicts. Record first, judge later."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import SimctlError
from orchestrator.fabric.settings import check_kernel
from orchestrator.recording.folder import RunFolder
from orchestrator.run.ahead import Ahead
from orchestrator.run.environment import describe_machine
from orchestrator.run.options import Options, check_seed
from orchestrator.run.prepare import Prepared, check_trust, prepare
from orchestrator.run.record import record
from orchestrator.runtimes import registry as runtime_registry
from orchestrator.scenario.model import LONG, Scenario
from orchestrator.system.storage import storage_errors
from orchestrator.text.durations import rough_duration
from orchestrator.text.progress import Progress

if TYPE_CHECKING:
    from orchestrator.analysis.report import RunReport

AFTERWARDS = ("orchestrator.run.judge", "orchestrator.recording.checker:reading_validator")


_Fill = Callable[[RunFolder, Callable[[], None]], None]
"""Executes a run: its recording is in the folder then. The function is called when its nodes are up."""


def run(path: Path, options: Options, progress: Progress) -> RunReport:
    """Prepare, bring up, drive, record, take down, judge. Raises SimctlError.

    A KeyboardInterrupt passes through after an orderly teardown."""
    prepared = prepare(path, options)
    choice = runtime_registry.choose(options.runtime, prepared.topology, prepared.kinds)
    check_trust(prepared, choice.ability, options)
    check_seed(choice.name, options.seed)
    progress(f"runtime {choice.name}: {choice.why}")
    for note in prepared.topology.notes:
        progress(f"{note.place}: {note.text}")
    virtual = runtime_registry.virtual_time()
    if choice.ability != virtual and prepared.scenario.seconds >= LONG:
        takes = rough_duration(prepared.scenario.seconds)
        progress(f"this takes {takes}; with --runtime {virtual.name} waiting is free")
    fill = (_virtual if choice.ability == virtual else _real)(prepared, choice, options, progress)
    folder = RunFolder.create(options.output, "-".join(_marks(prepared.scenario, options)))
    with storage_errors(folder.path):
        folder.keep_variables(prepared.variables, options.cell)
        folder.keep_sources(prepared.loaded.source.path, prepared.topology.path)
        ahead = Ahead((*AFTERWARDS, *options.afterwards))
        with _told_where(folder, progress):
            fill(folder, ahead.begin)
            progress("judge")
            ahead.wait()
            from orchestrator.run.judge import judge_folder, keep_verdicts

            report = judge_folder(folder)
            keep_verdicts(folder, report.verdicts)
    return report


def _marks(scenario: Scenario, options: Options) -> list[str]:
    """What the run's folder is named after."""
    values = [re.sub(r"[^A-Za-z0-9_.]+", "_", value)[:40] for value in options.cell.values()]
    return [scenario.name, *values, *([] if options.seed is None else [f"seed{options.seed}"])]


def _real(prepared: Prepared, choice: runtime_registry.Choice, options: Options, progress: Progress) -> _Fill:
    """The run on this machine, with everything made that it needs first."""
    topology, kinds = prepared.topology, prepared.kinds
    check_kernel(topology)
    runtime = runtime_registry.create(choice, topology, kinds, allow_exec=options.allow_exec, progress=progress)

    def fill(folder: RunFolder, up: Callable[[], None]) -> None:
        folder.write_environment(describe_machine(choice.name, topology))
        record(prepared.scenario, topology, kinds, runtime, options, folder, progress, up=up)

    return fill


def _virtual(prepared: Prepared, choice: runtime_registry.Choice, options: Options, progress: Progress) -> _Fill:
    """The run in a virtual machine, likewise."""
    from orchestrator.run.virtual.execute import VirtualMachine

    runtime_registry.check_images(choice, prepared.topology, prepared.kinds)
    machine = VirtualMachine.ready(prepared.kinds, progress)

    def fill(folder: RunFolder, up: Callable[[], None]) -> None:
        up()  # nothing of it is on this machine
        machine.run(prepared.loaded.source.data, prepared.topology, options, folder)

    return fill


@contextlib.contextmanager
def _told_where(folder: RunFolder, progress: Progress) -> Iterator[None]:
    try:
        yield
    except (SimctlError, KeyboardInterrupt):
        if folder.path.exists():
            progress(f"what was recorded is in {folder.path}")
        raise
