"""Which node had an address that moved, at a time: a virtual address that another node takes over.

A socket stays where it was born. So the node of a socket is that which had its address then, and what the kernel tells
of it later is of that node too, whoever has the address by now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field

from orchestrator.recording.events import Event
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_BORN_FROM = (TcpState.CLOSED, TcpState.LISTEN)


@record
class Moves:
    """Addresses that more than one node had."""

    by_address: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=dict)
    """Address -> since when, and which node; in order of time."""

    def holder(self, address: str, t: float) -> str | None:
        """None for an address that never moved."""
        known = self.by_address.get(address)
        if known is None:
            return None
        return known[max(0, bisect_right(known, t, key=lambda one: one[0]) - 1)][1]

    def at(self, t: float, addresses: Mapping[str, str]) -> Mapping[str, str]:
        """Address -> node at that time; `addresses` has those that never moved."""
        if not self.by_address:
            return addresses
        return {**addresses, **{address: self.holder(address, t) or "" for address in self.by_address}}

    def owner(self, node_of: Callable[[str], str | None]) -> Callable[[str, float], str | None]:
        """What finds the node of an address with its port at a time; `node_of` knows those that never moved."""

        def owner(address: str, t: float) -> str | None:
            host = address.rpartition(":")[0]
            return self.holder(host, t) or node_of(host)

        return owner

    def holders(self, address: str) -> set[str]:
        return {node for _, node in self.by_address.get(address, ())}

    def named(self, lines: Iterable[Event], node_at: Mapping[str, str]) -> Iterator[Event]:
        """Lines of the kernel's trace in order of time with the node of the socket that each is about; empty for none.
        `node_at`: address with port -> node, of addresses that never moved."""
        if not self.by_address:
            yield from (line | {"node": node_at[line["local"]]} if "local" in line else line.copy() for line in lines)
            return
        born: dict[tuple[int, str], str] = {}
        for line in lines:
            host = line["local"].rpartition(":")[0] if "local" in line else ""
            if host not in self.by_address:
                yield line | {"node": node_at[line["local"]]} if "local" in line else line.copy()
                continue
            number, now = line.get("a") or 0, self.holder(host, float(line["t"])) or ""
            key = number, line["local"]
            fresh = not number or (line["ev"] == "state" and line["old"] in _BORN_FROM)
            node = now if fresh else born.get(key, now)
            if number:
                born[key] = node
            yield line | {"node": node}


NO_MOVES = Moves()


def moves_of(
    nodes: Iterable[Event], addresses: Iterable[Event], happened: Iterable[Event]
) -> tuple[dict[str, str], Moves]:
    """Address -> node, the first one that had it; and what moved. `nodes`: of the line `begin`; `addresses`: the lines
    `address`, which a look at the nodes made some time after; `happened`: the lines `node`, some of which say that a
    node takes an address, just before it does."""
    first = {address: node["name"] for node in nodes for address in node["addresses"]}
    told = [(float(line["t"]), line["address"], line["node"]) for line in addresses]
    taken = ((line, (line.get("detail") or {}).get("address")) for line in happened if line["what"] == TAKEN)
    told += [(float(line["t"]), address, line["node"]) for line, address in taken if isinstance(address, str)]
    changes: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for t, address, node in sorted(told):
        now = changes[address][-1][1] if changes[address] else first.setdefault(address, node)
        if now != node:
            changes[address].append((t, node))
    moved = {
        address: ((float("-inf"), first[address]), *of_address) for address, of_address in changes.items() if of_address
    }
    return first, Moves(moved)


TAKEN = "address taken"
"""`what` of the line `node` of a step that moves an address; scenario/steps/move.py."""
