"""The order in which nodes start."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError, Place
from orchestrator.topology.model import Node, Topology
from orchestrator.topology.order import find_cycle, start_order


def topology(depends_on: dict[str, list[str]], replicas: int = 1) -> Topology:
    nodes = [
        Node(
            f"{name}-{number}",
            name,
            "x",
            None,
            Place("compose.yaml"),
            depends_on=dict.fromkeys(needed, "service_started"),
        )
        for name, needed in depends_on.items()
        for number in range(1, replicas + 1)
    ]
    return Topology(Path("compose.yaml"), tuple(nodes), ())


def test_waves() -> None:
    waves = start_order(topology({"client": ["proxy", "dns"], "proxy": ["server"], "server": [], "dns": []}))
    assert [[node.service for node in wave] for wave in waves] == [["server", "dns"], ["proxy"], ["client"]]


def test_all_replicas_come_before_what_depends_on_them() -> None:
    waves = start_order(topology({"client": ["server"], "server": []}, replicas=2))
    assert [[node.name for node in wave] for wave in waves] == [["server-1", "server-2"], ["client-1", "client-2"]]


def test_a_cycle_is_an_input_error() -> None:
    with pytest.raises(InputError, match="b -> c -> b"):
        start_order(topology({"a": ["b"], "b": ["c"], "c": ["b"]}))


GRAPHS = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=3, unique=True), min_size=size, max_size=size)
)


@given(GRAPHS)
def test_order_or_cycle(edges: list[list[int]]) -> None:
    depends_on = {str(number): [str(other) for other in needed] for number, needed in enumerate(edges)}
    cycle = find_cycle(depends_on)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert len(cycle) > 1
        assert all(after in depends_on[before] for before, after in pairwise(cycle))
        return
    waves = start_order(topology(depends_on))
    position = {node.service: index for index, wave in enumerate(waves) for node in wave}
    assert set(position) == set(depends_on)
    for name, needed in depends_on.items():
        assert position[name] == max((position[other] + 1 for other in needed), default=0)
