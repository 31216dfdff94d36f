"""How nodes reach networks that they are not on: through routers, nodes with a leg in several networks. Pure.

Each node gets a route to every network that some chain of routers leads to, by the shortest; of equally short ones the
first in the order of the topology. What the topology says of a node's own routes goes before.
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


def routes(
    interfaces: Mapping[str, tuple[Interface, ...]],
    routers: Set[str],
    given: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, tuple[Route, ...]]:
    """Node -> its routes, the nearest networks first. Empty for nodes that reach nothing beyond their own networks.
    `given`: node -> network -> the node through which it reaches that, which is on a network of its own."""
    found: dict[str, tuple[Route, ...]] = {}
    for node in interfaces:
        own = {network: _entrance(node, via, interfaces) for network, via in ((given or {}).get(node) or {}).items()}
        ways = _from(node, interfaces, routers) if routers else []
        found[node] = (
            *(way for way in ways if way.network not in own),
            *(Route(network, gateway) for network, gateway in own.items()),
        )
    return {node: of_node for node, of_node in found.items() if of_node}


def _entrance(node: str, via: str, interfaces: Mapping[str, tuple[Interface, ...]]) -> str:
    own = {leg.network for leg in interfaces[node]}
    return next(leg.address for leg in interfaces[via] if leg.network in own)


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
