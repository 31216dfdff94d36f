"""How nodes reach networks that they are not on: through routers, nodes with a leg in several networks. Pure.

Each node gets a route to every network that some chain of routers leads to, by the shortest; of equally short ones the
first in the order of the topology.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from typing import NamedTuple

from orchestrator.fabric.interface import Interface


class Route(NamedTuple):
    """`gateway` is the address, on a network of the node's own, of the router that leads to `network`."""

    network: str
    gateway: str


def routes(interfaces: Mapping[str, tuple[Interface, ...]], routers: Set[str]) -> dict[str, tuple[Route, ...]]:
    """Node -> its routes, the nearest networks first. Empty for nodes that reach nothing beyond their own networks."""
    found = {node: tuple(_from(node, interfaces, routers)) for node in interfaces} if routers else {}
    return {node: of_node for node, of_node in found.items() if of_node}


def _from(node: str, interfaces: Mapping[str, tuple[Interface, ...]], routers: Set[str]) -> list[Route]:
    """Breadth first over networks."""
    own = [leg.network for leg in interfaces[node]]
    gateways: dict[str, str | None] = dict.fromkeys(own)
    waiting = deque(gateways)
    while waiting:
        network = waiting.popleft()
        for router, legs in interfaces.items():
            entrance = next((leg.address for leg in legs if leg.network == network), None)
            if router == node or router not in routers or entrance is None:
                continue
            for leg in legs:
                if leg.network not in gateways:
                    gateways[leg.network] = gateways[network] or entrance
                    waiting.append(leg.network)
    return [Route(network, gateway) for network, gateway in gateways.items() if gateway is not None]
