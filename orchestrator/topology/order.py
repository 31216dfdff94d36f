"""In which order nodes start: waves by `depends_on`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.errors import InputError
from orchestrator.topology.model import Node, Topology


def start_order(topology: Topology) -> list[list[Node]]:
    """Waves of nodes: each depends on earlier waves only. Within a wave, the file's order.

    Raises InputError for a cycle, which `load_topology` refuses already.
    """
    depends_on: dict[str, set[str]] = {node.service: set() for node in topology.nodes}
    for node in topology.nodes:
        depends_on[node.service].update(node.depends_on)
    cycle = find_cycle(depends_on)
    if cycle is not None:
        raise InputError(f"services depend on each other in a circle: {' -> '.join(cycle)}")
    started: set[str] = set()
    waves: list[list[Node]] = []
    while len(started) < len(depends_on):
        ready = {name for name, needed in depends_on.items() if name not in started and needed <= started}
        waves.append([node for node in topology.nodes if node.service in ready])
        started |= ready
    return waves


def find_cycle(depends_on: Mapping[str, Sequence[str] | set[str]]) -> list[str] | None:
    """Names along one cycle, the first repeated at the end; None without one. Names that are no keys do not count."""
    done: set[str] = set()
    for start in depends_on:
        path: list[str] = []
        branches = [iter([start])]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if path:
                    done.add(path.pop())
            elif name in path:
                return [*path[path.index(name) :], name]
            elif name in depends_on and name not in done:
                path.append(name)
                branches.append(iter(depends_on[name]))
    return None
