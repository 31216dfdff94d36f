"""What names and addresses mean in a lab now: steps move addresses, and change a node's /etc/hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.fabric.addresses import AddressPlan, Virtual
from orchestrator.runtimes.base import Runtime, hosts_text


class Names:
    """Begins with what was planned."""

    def __init__(self, plan: AddressPlan, runtime: Runtime) -> None:
        self._plan = plan
        self._runtime = runtime
        self._virtual = dict(plan.virtual)
        self._hosts: dict[str, dict[str, Sequence[str]]] = {}
        """Node -> name -> addresses, of nodes of which a step changed something."""

    def virtual(self, name: str) -> Virtual:
        """A virtual address with the node that has it now."""
        return self._virtual[name]

    def moved(self, address: str, node: str) -> None:
        """A node has that virtual address from now on."""
        for name, virtual in self._virtual.items():
            if virtual.address == address:
                self._virtual[name] = replace(virtual, node=node)

    def addresses(self, node: str) -> list[str]:
        """All that a node has now."""
        own = [leg.address for leg in self._plan.interfaces[node]]
        return own + [virtual.address for virtual in self._virtual.values() if virtual.node == node]

    def of(self, node: str, names: Sequence[str]) -> dict[str, Sequence[str]]:
        """Those names with their addresses in the node's /etc/hosts; none for one that is not there."""
        now = self._now(node)
        return {name: now.get(name, ()) for name in names}

    def set(self, node: str, names: Mapping[str, Sequence[str]]) -> None:
        """Change what a node's /etc/hosts says of these names: nodes that it could reach from the start, or addresses;
        none removes a name."""
        known = self._plan.hosts[node]
        now = self._now(node) | {name: [known.get(each, each) for each in where] for name, where in names.items()}
        self._hosts[node] = now
        self._runtime.set_hosts(node, hosts_text(now))

    def _now(self, node: str) -> dict[str, Sequence[str]]:
        return self._hosts.get(node) or {name: [address] for name, address in self._plan.hosts[node].items()}
