"""One execution of a scenario, from its file to its verdicts. Record first, judge later."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.analysis.report import RunReport
from orchestrator.errors import InputError, SimctlError
from orchestrator.history.build import history_of
from orchestrator.history.model import History
from orchestrator.judge.judge import judge
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.lab.lab import Lab, LabFolder
from orchestrator.lab.startup import READY_TIMEOUT
from orchestrator.observe.pace import REAL, Pace
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.verdict import Verdict, overall
from orchestrator.run.check import check_scenario
from orchestrator.run.environment import describe_machine
from orchestrator.run.steps import run_steps
from orchestrator.runtimes import registry as runtime_registry
from orchestrator.runtimes.base import Runtime
from orchestrator.runtimes.netns.limits import known_kind
from orchestrator.scenario.loaded import LoadedScenario
from orchestrator.scenario.loader import load_scenario, parse_scenario
from orchestrator.scenario.model import LONG, Scenario
from orchestrator.system.storage import storage_errors
from orchestrator.text.durations import rough_duration
from orchestrator.text.suggest import suggestion
from orchestrator.text.yamlsource import load_yaml
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.compose.interpolate import mentioned
from orchestrator.topology.model import Topology

Progress = Callable[[str], None]

_kinds = functools.cache(load_kinds)
"""Reading them takes 0.1 s, and a matrix prepares many runs."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line decides. `variables` go above the scenario's `set`."""

    runtime: str = "auto"
    variables: Mapping[str, str] = field(default_factory=dict)
    output: Path = Path("runs")
    allow_exec: bool = False
    capture: bool = False
    ready_timeout: float = READY_TIMEOUT
    cell: Mapping[str, str] = field(default_factory=dict)
    """Of a matrix: these go above `variables`, and the report is named after them."""
    seed: int | None = None
    """Of a virtual machine; see orchestrator/vm/seed.py. Without one every run is the same."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that passed every check that can be made before anything starts."""

    loaded: LoadedScenario
    topology: Topology
    kinds: Mapping[str, Kind]

    @property
    def scenario(self) -> Scenario:
        return self.loaded.scenario


def prepare(path: Path, options: Options) -> Prepared:
    """Load and check. Raises InputError with every problem that was found in the file."""
    loaded = load_scenario(path)
    variables = _variables(loaded.scenario, options)
    kinds = _kinds()
    topology = load_topology(loaded.topology_path, variables, kinds=kinds, allow_host_access=options.allow_exec)
    _check_cell(loaded, options.cell)
    check_scenario(loaded, topology, {name: kind.role for name, kind in kinds.items()})
    return Prepared(loaded, topology, kinds)


def run(path: Path, options: Options, progress: Progress) -> RunReport:
    """Prepare, bring up, drive, record, take down, judge. Raises SimctlError.

    A KeyboardInterrupt passes through after an orderly teardown."""
    prepared = prepare(path, options)
    choice = runtime_registry.choose(options.runtime, prepared.topology, prepared.kinds)
    _check_exec(prepared, choice, options)
    check_seed(choice.name, options.seed)
    progress(f"runtime {choice.name}: {choice.why}")
    for note in prepared.topology.notes:
        progress(f"{note.place}: {note.text}")
    if choice.name != "vm" and prepared.scenario.seconds >= LONG:
        progress(f"this takes {rough_duration(prepared.scenario.seconds)}; with --runtime vm waiting is free")
    fill = _virtual(prepared, options, progress) if choice.name == "vm" else _real(prepared, choice, options, progress)
    folder = RunFolder.create(options.output, "-".join(_marks(prepared.scenario, options)))
    with storage_errors(folder.path):
        folder.keep_variables(_variables(prepared.scenario, options), options.cell)
        folder.keep_sources(prepared.loaded.source.path, prepared.topology.path)
        with _told_where(folder, progress):
            fill(folder)
        progress("judge")
        report = judge_folder(folder)
        folder.write_verdicts(report.verdicts)
    return report


def _variables(scenario: Scenario, options: Options) -> dict[str, str]:
    return {**scenario.set, **options.variables, **options.cell}


def _check_cell(loaded: LoadedScenario, cell: Mapping[str, str]) -> None:
    """A variable that the topology does not mention would make rows that are all the same."""
    if not cell:
        return
    known = mentioned(loaded.topology_path.read_text(encoding="utf-8", errors="replace"))
    for name in cell:
        if name not in known:
            raise InputError(
                f"the matrix varies {name}, which {loaded.topology_path} does not mention",
                place=loaded.source.place(("matrix", name), of_key=True) if name in loaded.scenario.matrix else None,
                hint=suggestion(name, sorted(known)),
            )


def _marks(scenario: Scenario, options: Options) -> list[str]:
    """What the run's folder is named after."""
    values = [re.sub(r"[^A-Za-z0-9_.]+", "_", value)[:40] for value in options.cell.values()]
    return [scenario.name, *values, *([] if options.seed is None else [f"seed{options.seed}"])]


def _real(
    prepared: Prepared, choice: runtime_registry.Choice, options: Options, progress: Progress
) -> Callable[[RunFolder], None]:
    """The run on this machine, with everything made that it needs first. What is returned executes it."""
    topology, kinds = prepared.topology, prepared.kinds
    runtime = runtime_registry.create(choice, topology, kinds, allow_exec=options.allow_exec, progress=progress)

    def fill(folder: RunFolder) -> None:
        folder.write_environment(describe_machine(choice.name, topology))
        record(prepared.scenario, topology, kinds, runtime, options, folder, progress)

    return fill


def _virtual(prepared: Prepared, options: Options, progress: Progress) -> Callable[[RunFolder], None]:
    """The run in a virtual machine, likewise."""
    from orchestrator.run.virtual.execute import VirtualMachine

    for node in prepared.topology.nodes:
        known_kind(node, prepared.kinds)
    machine = VirtualMachine.ready(prepared.kinds, progress)
    return lambda folder: machine.run(prepared.loaded.source.data, prepared.topology, options, folder)


def judge_folder(folder: RunFolder) -> RunReport:
    """Hold a recording against the expectations of the scenario in it."""
    scenario = parse_scenario(load_yaml(folder.scenario))
    history = history_of(folder)
    variables = folder.variables()
    expected = [expectation for expectation in scenario.expect if expectation.applies(variables)]
    return _report(folder, scenario, history, judge(expected, history))


def stored_report(folder: RunFolder) -> RunReport:
    """The report of a run as it was judged then. Raises InputError when it never was."""
    return _report(folder, parse_scenario(load_yaml(folder.scenario)), history_of(folder), folder.read_verdicts())


def _report(folder: RunFolder, scenario: Scenario, history: History, verdicts: list[Verdict]) -> RunReport:
    return RunReport(
        folder=folder.path,
        scenario=scenario.name,
        cell=folder.cell(),
        title=scenario.title,
        runtime=str(history.begin.get("runtime", "?")),
        clock=str(history.begin.get("clock", "?")),
        duration=history.until,
        wall=folder.wall_seconds(),
        history=history,
        verdicts=verdicts,
        outcome=overall(verdicts),
        notes=history.notes,
    )


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
) -> None:
    """Bring the nodes up, run the steps, record into the folder, take down. Of the options: capture, ready_timeout."""
    files = LabFolder(folder.events, folder.logs, folder.ss, folder.captures if options.capture else None)
    progress(f"up: {len(topology.nodes)} nodes")
    lab = Lab(
        topology,
        runtime,
        kinds,
        files,
        scenario=scenario.name,
        pace=pace,
        ready_timeout=options.ready_timeout,
        progress=progress,
    )
    with _kept_or_removed(folder, lab), lab:
        try:
            with storage_errors(folder.path):
                run_steps(scenario, lab, progress, folder.logs)
        except KeyboardInterrupt:
            lab.finish("interrupted")
            raise
        except SimctlError as error:
            lab.finish("failed", str(error))
            raise
        lab.finish("done")
    lab.check_recording()


@contextlib.contextmanager
def _kept_or_removed(folder: RunFolder, lab: Lab) -> Iterator[None]:
    """What was recorded of a run that fails stays. Without any node there is nothing to keep."""
    try:
        yield
    except (SimctlError, KeyboardInterrupt):
        if not lab.pids:
            folder.remove()
        raise


@contextlib.contextmanager
def _told_where(folder: RunFolder, progress: Progress) -> Iterator[None]:
    try:
        yield
    except (SimctlError, KeyboardInterrupt):
        if folder.path.exists():
            progress(f"what was recorded is in {folder.path}")
        raise


def _check_exec(prepared: Prepared, choice: runtime_registry.Choice, options: Options) -> None:
    if choice.name != "netns" or options.allow_exec:
        return
    for index, step in enumerate(prepared.scenario.steps):
        if step.exec is not None:
            raise InputError(
                f"step {step.name}: under netns `exec` runs a command on this machine",
                place=prepared.loaded.source.place(("steps", index, "exec"), of_key=True),
                hint="use --runtime docker, or allow it with --allow-exec if you trust the file",
            )


def check_seed(runtime: str, seed: int | None) -> None:
    """Raise InputError for a seed with a runtime that has no use for it."""
    if seed is not None and runtime != "vm":
        raise InputError(
            f"a seed changes nothing under {runtime}: there no two runs are the same anyway",
            hint="use --runtime vm",
        )
