"""The runtimes that there are, and which of them a lab gets: the one that the user asked for, or what `auto` finds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.runtimes.ability import Ability, Images, Wanted, known_kind
from orchestrator.text.progress import Progress
from orchestrator.text.record import record

if TYPE_CHECKING:
    from orchestrator.kinds.registry import Kind
    from orchestrator.runtimes.base import Runtime
    from orchestrator.topology.model import Topology

FOLDERS = (
    "netns",
    "docker",
    "vm",
)
"""One line for each runtime: its folder, in which ability.py has its ABILITY. In the order in which users are told of
them; `auto` takes the last one that is ready, because what needs more can do more."""

AUTO = "auto"
_IN_GUEST = "netns"
"""What makes the nodes inside of a virtual machine."""


@functools.cache
def abilities() -> tuple[Ability, ...]:
    """All runtimes."""
    return tuple(_ability(folder) for folder in FOLDERS)


def _ability(folder: str) -> Ability:
    found: Ability = import_module(f"orchestrator.runtimes.{folder}.ability").ABILITY
    return found


def names() -> list[str]:
    """What `--runtime` may be."""
    return [AUTO, *(ability.name for ability in abilities())]


def find(name: str) -> Ability:
    """The runtime of that name. Raises InputError, which lists them."""
    for ability in abilities():
        if ability.name == name:
            return ability
    raise InputError(f"unknown runtime {name!r}", hint=f"one of {', '.join(names())}")


def help_text() -> str:
    """Of the option `--runtime`."""
    each = "; ".join(f"{ability.name}: {ability.help}" for ability in abilities())
    ready = " or ".join(ability.name for ability in reversed(abilities()) if not ability.virtual_time)
    return f"Where nodes live. {each}; {AUTO}: {ready}, the first that is ready."


def virtual_time() -> Ability:
    """The runtime in which waiting is free, and a seed decides."""
    return next(ability for ability in abilities() if ability.virtual_time)


def images() -> Images:
    """Those of the runtime that needs some."""
    return next(images for ability in abilities() if (images := ability.images()) is not None)


@record
class Choice:
    """The runtime's name, and why in a few words for the user."""

    name: str
    why: str

    @property
    def ability(self) -> Ability:
        return find(self.name)


def choose(requested: str, topology: Topology, kinds: Mapping[str, Kind]) -> Choice:
    """The one that was asked for; for `auto` the last that is ready for this topology. Raises InputError."""
    if requested != AUTO:
        return Choice(find(requested).name, "asked for")
    refusals: list[str] = []
    for ability in reversed(abilities()):
        offer = ability.offer(topology, kinds)
        if offer.ready:
            return Choice(ability.name, "; ".join(filter(None, [*refusals, offer.why])))
        refusals.append(offer.why)
    raise EnvironmentFailure(
        "no runtime is ready here", detail=[*filter(None, refusals)], hint="simctl doctor says what is missing"
    )


def begin(requested: str, scenario: str) -> None:
    """Start what a lab of that runtime takes for that scenario, while simctl imports what it needs. A wrong guess costs
    idle processes."""
    for ability in reversed(abilities()):
        if requested == ability.name or (requested == AUTO and ability.likely()):
            ability.begin(scenario)
            return


def check_images(choice: Choice, topology: Topology, kinds: Mapping[str, Kind]) -> None:
    """Raises InputError for an image that the runtime cannot run."""
    if not choice.ability.foreign_images:
        for node in topology.nodes:
            known_kind(node, kinds)


def create(
    choice: Choice,
    topology: Topology,
    kinds: Mapping[str, Kind],
    *,
    allow_exec: bool,
    progress: Progress,
) -> Runtime:
    """As Ability.create."""
    check_images(choice, topology, kinds)
    return choice.ability.create(Wanted(topology, kinds, allow_exec, progress))


def create_in_guest(kinds: Mapping[str, Kind], progress: Progress, ahead: Path | None = None) -> Runtime:
    """What makes the nodes inside of a virtual machine, under the name that the user knows. `ahead` as in Wanted.

    Its topologies come later: the host has checked them, and the guest's image has what node kinds prepare.
    """
    from orchestrator.topology.model import Topology

    runtime = find(_IN_GUEST).create(Wanted(Topology(Path("guest"), (), ()), kinds, True, progress, ahead))
    runtime.name = virtual_time().name
    return runtime
