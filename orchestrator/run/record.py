"""One recording: nodes up, steps, nodes down. Nothing is judged here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from orchestrator.errors import SimctlError
from orchestrator.kinds.registry import Kind
from orchestrator.lab.lab import Lab, LabFolder, LabSettings
from orchestrator.observe.pace import REAL, Pace
from orchestrator.recording.folder import RunFolder
from orchestrator.run.options import Options
from orchestrator.run.steps import run_steps
from orchestrator.runtimes.base import Runtime
from orchestrator.scenario.model import Scenario
from orchestrator.system import interrupts
from orchestrator.system.storage import storage_errors
from orchestrator.text.progress import Progress
from orchestrator.topology.model import Topology


def record(
    scenario: Scenario,
    topology: Topology,
    kinds: Mapping[str, Kind],
    runtime: Runtime,
    options: Options,
    folder: RunFolder,
    progress: Progress,
    *,
    pace: Pace = REAL,
    left_up: bool = False,
    up: Callable[[], None] = lambda: None,
) -> None:
    """Bring the nodes up, run the steps, record into the folder, take down. Of the options: capture, ready_timeout.

    `left_up`: as in LabSettings. `up` is called when the nodes are.
    """
    files = LabFolder(folder.events, folder.logs, folder.ss, folder.captures if options.capture else None)
    progress(f"up: {len(topology.nodes)} nodes")
    settings = LabSettings(
        scenario=scenario.name,
        pace=pace,
        ready_timeout=options.ready_timeout,
        progress=progress,
        needs={need: f"the step {step.name}" for step in reversed(scenario.steps) for need in step.action.needs},
        left_up=left_up,
    )
    lab = Lab(topology, runtime, kinds, files, settings)
    with _kept_or_removed(folder, lab), interrupts.heeded(), lab:
        up()
        for note in topology.notes:
            lab.session.note(str(note))
        try:
            with storage_errors(folder.path), interrupts.heeded():
                run_steps(scenario, lab, progress, folder.logs)
        except KeyboardInterrupt:
            lab.finish("interrupted")
            raise
        except SimctlError as error:
            lab.finish("failed", str(error))
            raise
        lab.finish("done")
    lab.session.check_written()


@contextlib.contextmanager
def _kept_or_removed(folder: RunFolder, lab: Lab) -> Iterator[None]:
    """What was recorded of a run that fails stays. Without any node there is nothing to keep."""
    try:
        yield
    except (SimctlError, KeyboardInterrupt):
        if not lab.pids:
            folder.remove()
        raise
