"""In which order nodes start: waves by `depends_on`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

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
    sorter = _sorter(depends_on)
    sorter.prepare()
    waves: list[list[Node]] = []
    while sorter.is_active():
        ready = sorter.get_ready()
        waves.append([node for node in topology.nodes if node.service in ready])
        sorter.done(*ready)
    return waves


def find_cycle(depends_on: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Names along one cycle, the first repeated at the end; None without one. Names that are no keys do not count.

    Each name depends on the one after it.
    """
    try:
        _sorter(depends_on).prepare()
    except CycleError as error:
        names: list[str] = error.args[1]
        return names[::-1]  # graphlib has each as a predecessor of the next
    return None


def _sorter(depends_on: Mapping[str, Iterable[str]]) -> TopologicalSorter[str]:
    known = {name: [other for other in needed if other in depends_on] for name, needed in depends_on.items()}
    return TopologicalSorter(known)
