"""What can be done to a node's network, one file each. A new fault is a file, and a line here: docs/dev/faults.md."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from orchestrator.fabric.faults.base import Fault, Wired

# One line each.
# isort: off
from orchestrator.fabric.faults.partition import Partition as Partition
from orchestrator.fabric.faults.packets import Packets as Packets
from orchestrator.fabric.faults.impairment import Impairment as Impairment
from orchestrator.fabric.faults.mtu import Mtu as Mtu
from orchestrator.fabric.faults.address import Address as Address
from orchestrator.fabric.faults.flows import Flows as Flows
from orchestrator.fabric.faults.destroy import Destroy as Destroy
# isort: on

FAULTS: tuple[type[Fault[Any]], ...] = tuple(
    kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, Fault) and not inspect.isabstract(kind)
)
"""What the lines above import."""

Action = Literal["apply", "heal"]


class Faults:
    """The faults of one wired lab."""

    def __init__(self, wired: Wired) -> None:
        self._by_name = {kind.name: kind(wired) for kind in FAULTS}

    def act(self, name: str, action: Action, node: str, settings: Mapping[str, Any]) -> int | None:
        """What `apply` returns. Raises ValueError for a fault that is not listed, TypeError for settings that it has
        not, else as it does."""
        fault = self._by_name.get(name)
        if fault is None:
            raise ValueError(f"no fault is called {name}: there are {', '.join(self._by_name)}")
        chosen = fault.settings(**settings)
        if action == "apply":
            return fault.apply(node, chosen)
        fault.heal(node, chosen)
        return None
