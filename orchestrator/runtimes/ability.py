"""What simctl knows of a runtime before it uses one: its `Ability`, which the runtime's folder gives in ability.py.

`simctl --help` reads these, so what is heavy is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from orchestrator.errors import InputError
from orchestrator.text.record import record

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.kinds.registry import Kind
    from orchestrator.observe.abilities import Outcome
    from orchestrator.runtimes.base import Runtime
    from orchestrator.runtimes.check import Check
    from orchestrator.topology.model import Node, Topology

Report = Callable[[str], None]
"""Is told what goes on, in a few words for the user."""


class Offer(NamedTuple):
    """Whether `auto` may take a runtime here, for this topology, and why or why not, in a few words for the user."""

    ready: bool
    why: str


@record
class Wanted:
    """The lab that a runtime is made for. `allow_exec`: the user trusts the topology's file (`--allow-exec`)."""

    topology: Topology
    kinds: Mapping[str, Kind]
    """All that there are, by name."""
    allow_exec: bool
    progress: Report
    ahead: Path | None = None
    """Start now what every lab takes: that is to be frozen with the machine. A folder, for logs."""

    @property
    def used_kinds(self) -> dict[str, Kind]:
        """The kinds that the topology names."""
        return used_kinds(self.topology, self.kinds)


@record
class StandingNode:
    """A node of a standing lab, as its record has it. `pid` is a process in its namespaces."""

    pid: int
    container: str | None
    rootless: bool
    """Whether its namespaces belong to a user namespace of its own."""


class Images(Protocol):
    """The images of a runtime that needs some: `simctl images`."""

    def names(self) -> list[str]:
        """What there are images of."""

    def missing(self, names: Iterable[str]) -> set[str]:
        """Those that are not there, or not up to date. Raises EnvironmentFailure."""

    def build(self, names: Iterable[str], progress: Report, *, force: bool) -> dict[str, str]:
        """Build those that are missing (`force`: all); name -> reference. Raises InputError, EnvironmentFailure."""


class Ability(Protocol):
    """One runtime. All that is said of it to users, and every choice that depends on it, comes from here.

    A runtime inherits from this, and says where it differs.
    """

    name: str
    """What `--runtime` calls it, and the name of its folder."""
    help: str
    """Where nodes live, in one line: for `--runtime` and the README."""
    virtual_time: bool = False
    """It executes whole runs, in a time of its own, and no lab stands on it: orchestrator/run/virtual."""
    foreign_images: bool = False
    """A node may be of any image, not of a node kind only."""
    runs_here: bool = False
    """Programs of its nodes, and what `exec` steps run, are processes of this machine and see its files."""
    needs: tuple[str, ...]
    """Names of the checks of `simctl doctor` without which no scenario runs on it."""

    def offer(self, topology: Topology, kinds: Mapping[str, Kind]) -> Offer:
        """Whether `auto` may take it. Quick; makes nothing."""

    def likely(self) -> bool:
        """Whether `auto` will probably take it here: what can be said at once, without imports."""
        return False

    def begin(self, scenario: str) -> None:
        """Start the processes that every lab of it takes: they will be there when simctl has imported what it needs.
        Imports next to nothing, and never raises. `scenario`: as the command line names it."""
        return

    def create(self, wanted: Wanted) -> Runtime:
        """The runtime of one lab, with everything made that it needs first (images, what node kinds prepare).

        What it cannot do with this topology is refused here, before anything starts: InputError, EnvironmentFailure.
        """

    def checks(self, machine: Outcome) -> list[Check]:
        """What `simctl doctor` finds out about it. `machine`: what this process itself may do (observe/abilities).

        Never raises; makes nothing.
        """

    def clean(self, report: Report) -> Iterable[str]:
        """Remove what killed runs left behind; says what was removed. What was not looked for is reported."""
        return ()

    def images(self) -> Images | None:
        """None: it needs no images."""
        return None

    def exec(self, node: StandingNode, command: Sequence[str]) -> int:
        """Run a command in a node of a standing lab, with this terminal; its exit status. Raises EnvironmentFailure."""


def used_kinds(topology: Topology, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kinds that a topology names."""
    names = {node.kind for node in topology.nodes if node.kind is not None}
    return {name: kinds[name] for name in sorted(names)}


def known_kind(node: Node, kinds: Mapping[str, Kind]) -> Kind:
    """The node's kind. Raises InputError for a foreign image, which takes an engine."""
    if node.kind is None:
        raise InputError(
            f"service {node.service}: the image {node.image} runs under docker only",
            place=node.place,
            hint=f"use --runtime docker, or one of the node kinds: {', '.join(sorted(kinds))}",
        )
    return kinds[node.kind]
