"""What a fault is: something done to the network of a node, and taken back. One file each; docs/dev/faults.md."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from orchestrator.fabric.wiring import Fabric
from orchestrator.text.record import record

SettingsT = TypeVar("SettingsT")


@record
class Wired:
    """What a fault may touch: the fabric, and the network namespace of every node."""

    fabric: Fabric
    netns: Mapping[str, int]
    """Node -> descriptor."""
    home: int
    """The namespace of the fabric: the far ends of the nodes' interfaces are there."""
    report: Callable[[int, str, str], None] = lambda number, rule, verdict: None
    """Has the packets recorded that a rule takes, from now on: its number, its name, and what it does to them."""


class Fault(abc.ABC, Generic[SettingsT]):
    """One kind of fault. There is one instance for a lab, in the probe, so it may remember what it did.

    Both actions raise OSError, or pyroute2's NetlinkError, with the kernel's reason, and change nothing that is so
    already.
    """

    name: ClassVar[str]
    """What steps call it."""
    settings: ClassVar[type[Any]]
    """A dataclass: what can be chosen besides the node. Its values must be JSON's, since they come over a pipe."""

    def __init__(self, wired: Wired) -> None:
        self.wired = wired

    @abc.abstractmethod
    def apply(self, node: str, settings: SettingsT) -> int | None:
        """Do it to the node. Returns how many things it befell, where it counts them."""

    @abc.abstractmethod
    def heal(self, node: str, settings: SettingsT) -> None:
        """Take it back."""
