"""From a scenario's file to a run that may start: everything is checked that can be before anything starts."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.fabric import settings
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.lab import knobs
from orchestrator.run.check import check_scenario
from orchestrator.run.options import Options
from orchestrator.runtimes.ability import Ability
from orchestrator.scenario.loader import LoadedScenario, load_scenario
from orchestrator.scenario.model import Scenario
from orchestrator.text.record import record
from orchestrator.text.suggest import suggestion
from orchestrator.topology.compose.file import load_topology, variables_of
from orchestrator.topology.model import Topology

_kinds = functools.cache(load_kinds)
"""Reading them takes 0.1 s, and a matrix prepares many runs."""


@record
class Prepared:
    """A scenario that passed every check that can be made before anything starts."""

    loaded: LoadedScenario
    topology: Topology
    kinds: Mapping[str, Kind]
    variables: Mapping[str, str]
    """Of the Compose file: the scenario's own, what the command line put above them, those of the matrix."""

    @property
    def scenario(self) -> Scenario:
        return self.loaded.scenario


def prepare(path: Path, options: Options) -> Prepared:
    """Load and check. Raises InputError with every problem that was found in the file."""
    loaded = load_scenario(path)
    variables = {**loaded.scenario.set, **options.variables, **options.cell}
    kinds = _kinds()
    topology = load_topology(loaded.topology_path, variables, kinds=kinds, allow_host_access=options.allow_exec)
    _check_variables(loaded, options.cell)
    check_scenario(loaded, topology, kinds, lambda expectation: expectation.applies(variables))
    settings.check_names(topology)
    varied = [value for value in options.cell.values() if value in kinds]
    notes = (*topology.notes, *knobs.check_topology(topology, kinds, varied))
    return Prepared(loaded, replace(topology, notes=notes), kinds, variables)


def _check_variables(loaded: LoadedScenario, cell: Mapping[str, str]) -> None:
    """A variable that the topology does not mention changes nothing; a matrix of it has rows that are all the same."""
    known = variables_of(loaded.topology_path)
    scenario = loaded.scenario
    named = [("matrix", name, "the matrix varies", name in scenario.matrix) for name in cell]
    named += [("set", name, "`set` gives a value to", True) for name in scenario.set]
    for key, name, does, own in named:
        if name not in known:
            raise InputError(
                f"{does} {name}, which {loaded.topology_path} does not mention",
                place=loaded.source.place((key, name), of_key=True) if own else None,
                hint=suggestion(name, sorted(known)),
            )


def check_set(given: Iterable[str], topologies: Sequence[Path]) -> None:
    """Raise InputError for a variable of `--set` that none of the topologies mentions: a slip of the pen would make an
    ordinary run, and a verdict on something else than was asked."""
    given = list(given)
    known = {name for path in topologies for name in variables_of(path)} if given else set()
    for name in given:
        if topologies and name not in known:
            where = str(topologies[0]) if len(topologies) == 1 else "none of the topologies"
            mentions = "does not mention" if len(topologies) == 1 else "mentions"
            raise InputError(f"--set varies {name}, which {where} {mentions}", hint=suggestion(name, sorted(known)))


def check_trust(prepared: Prepared, runtime: Ability, options: Options) -> None:
    """Raise InputError for a step that runs commands of the file on this machine, if the user did not allow it."""
    if options.allow_exec or not runtime.runs_here:
        return
    for index, step in enumerate(prepared.scenario.steps):
        if step.action.runs_commands:
            raise InputError(
                f"step {step.name}: under {runtime.name} `{step.verb}` runs a command on this machine",
                place=prepared.loaded.source.place(("steps", index, step.verb), of_key=True),
                hint="use --runtime docker, or allow it with --allow-exec if you trust the file",
            )
