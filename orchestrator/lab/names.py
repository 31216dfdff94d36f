"""What names and addresses mean in a lab now: steps move addresses, and change a node's /etc/hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from orchestrator.fabric.addresses import AddressPlan, Virtual
from orchestrator.runtimes.base import Runtime, hosts_text

_Value = TypeVar("_Value")


class Names:
    """Begins with what was planned."""

    def __init__(self, plan: AddressPlan, runtime: Runtime) -> None:
        self._plan = plan
        self._runtime = runtime
        self._virtual = dict(plan.virtual)
        self._moves: dict[str, dict[str, str]] = {}
        """Virtual address -> step -> the node that it chose; of steps that are not healed, in their order."""
        self._hosts: dict[str, dict[str, Mapping[str, Sequence[str]]]] = {}
        """Node -> step -> what it wrote of names; likewise."""

    def virtual(self, name: str) -> Virtual:
        """A virtual address with the node that has it now."""
        return self._virtual[name]

    def moved(self, address: str, node: str) -> None:
        """A node has that virtual address from now on."""
        for name, virtual in self._virtual.items():
            if virtual.address == address:
                self._virtual[name] = replace(virtual, node=node)

    def choose(self, name: str, step: str, node: str | None) -> str:
        """A step gives a virtual address to a node, or None: no longer. Returns the node that should have it now: the
        latest choice counts."""
        _change(self._moves.setdefault(name, {}), step, node)
        return [self._plan.virtual[name].node, *self._moves[name].values()][-1]

    def addresses(self, node: str) -> list[str]:
        """All that a node has now."""
        own = [leg.address for leg in self._plan.interfaces[node]]
        return own + [virtual.address for virtual in self._virtual.values() if virtual.node == node]

    def set(self, node: str, step: str, names: Mapping[str, Sequence[str]] | None) -> None:
        """What a step writes into a node's /etc/hosts of these names: nodes that it could reach from the start, or
        addresses; none removes a name. None: it does so no longer. Of several steps the latest counts."""
        known = self._plan.hosts[node]
        written = _change(self._hosts.setdefault(node, {}), step, names)
        now: dict[str, Sequence[str]] = {name: [address] for name, address in known.items()}
        for one in written.values():
            now |= {name: [known.get(each, each) for each in where] for name, where in one.items()}
        self._runtime.set_hosts(node, hosts_text(now))


def _change(steps: dict[str, _Value], step: str, value: _Value | None) -> dict[str, _Value]:
    if value is None:
        steps.pop(step, None)
    else:
        steps[step] = value
    return steps
