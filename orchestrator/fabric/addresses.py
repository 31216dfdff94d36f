"""Which address each node gets, and which names it knows: decided before anything starts.

`plan` is pure; the subnets come from a `Claim`, so that no two labs of a machine share an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import field
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from orchestrator.errors import InputError
from orchestrator.fabric.interface import Interface
from orchestrator.fabric.routes import Route, routes
from orchestrator.fabric.subnetclaim import SubnetClaim
from orchestrator.text.record import record
from orchestrator.topology.model import Topology
from orchestrator.topology.subnets import room

__all__ = ["AddressPlan", "Claim", "SubnetClaim", "plan", "plan_addresses", "sizes"]


class Claim(Protocol):
    """Who knows which subnets are free, and keeps them for us: a SubnetClaim, or the probe where it is elsewhere."""

    def claim(self, sizes: Mapping[str, int], fixed: Mapping[str, IPv4Network] | None = None) -> dict[str, IPv4Network]:
        """As SubnetClaim.claim."""


@record
class Virtual:
    """An address of that network which `node` has when the lab comes up."""

    address: str
    network: str
    node: str


@record
class AddressPlan:
    """All addresses of a lab. Keys of the outer mappings are names of nodes."""

    subnets: Mapping[str, IPv4Network]
    """Network -> subnet."""
    interfaces: Mapping[str, tuple[Interface, ...]]
    """eth0, eth1, ... in the order in which the service names its networks."""
    hosts: Mapping[str, Mapping[str, str]]
    """Per node its /etc/hosts, name -> address: itself, all that it shares a network with, and what routes lead to."""
    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    """Node -> how it reaches networks that it is not on, for nodes that do."""
    virtual: Mapping[str, Virtual] = field(default_factory=dict)
    """Name -> an address that one node has at a time."""

    @property
    def nodes(self) -> dict[str, str]:
        """Address -> node: every address of the lab belongs to one node when it comes up."""
        own = {leg.address: name for name, legs in self.interfaces.items() for leg in legs}
        return own | {virtual.address: virtual.node for virtual in self.virtual.values()}

    @property
    def gateways(self) -> dict[str, list[tuple[str, str]]]:
        """Node -> subnets that it is not on, each with the gateway to it."""
        return {
            node: [(str(self.subnets[way.network]), way.gateway) for way in ways] for node, ways in self.routes.items()
        }

    def of(self, node: str) -> list[str]:
        """The addresses that a node has when the lab comes up."""
        return [address for address, holder in self.nodes.items() if holder == node]


def sizes(topology: Topology) -> dict[str, int]:
    """Network -> how many addresses it needs; what `SubnetClaim.claim` asks for."""
    counts = {network.name: 0 for network in topology.networks}
    for node in topology.nodes:
        for attachment in node.attachments:
            counts[attachment.network] += 1
    for virtual in topology.addresses:
        counts[virtual.network] += 1
    return counts


def plan_addresses(topology: Topology, claim: Claim, routers: Set[str] = frozenset()) -> AddressPlan:
    """Claims a subnet for each network and plans every address in them. `routers`: nodes that forward for others.

    Raises EnvironmentFailure when a subnet that the file fixes is in use, or none is left.
    """
    fixed = {network.name: IPv4Network(network.subnet) for network in topology.networks if network.subnet is not None}
    return plan(topology, claim.claim(sizes(topology), fixed), routers)


def plan(topology: Topology, subnets: Mapping[str, IPv4Network], routers: Set[str] = frozenset()) -> AddressPlan:
    """Addresses and names of every node; `subnets` has one subnet a network.

    `ipv4_address` is honoured; the others count up from the second host address, as under Docker, which gives the
    first to its gateway. Raises InputError when a subnet has no room, which `load_topology` refuses already.
    """
    free = {network.name: _free(topology, network.name, subnets[network.name]) for network in topology.networks}
    interfaces = {
        node.name: tuple(
            Interface(
                f"eth{index}",
                attachment.network,
                attachment.ipv4_address or _next(free[attachment.network], attachment.network, subnets),
                subnets[attachment.network].prefixlen,
            )
            for index, attachment in enumerate(node.attachments)
        )
        for node in topology.nodes
    }
    virtual = {
        each.name: Virtual(_next(free[each.network], each.network, subnets), each.network, each.node)
        for each in topology.addresses
    }
    used = {name: subnets[name] for name in free}
    ways = routes(interfaces, routers, {node.name: node.routes for node in topology.nodes})
    return AddressPlan(used, interfaces, _hosts(topology, interfaces, ways, virtual), ways, virtual)


def names_of(topology: Topology, routers: Set[str] = frozenset()) -> dict[str, frozenset[str]]:
    """Node -> the names that its /etc/hosts will have; for that no subnet needs to be claimed."""
    made_up = {
        network.name: IPv4Network((10 << 24 | place << 12, 20)) for place, network in enumerate(topology.networks)
    }
    fixed = {network.name: IPv4Network(network.subnet) for network in topology.networks if network.subnet is not None}
    return {node: frozenset(hosts) for node, hosts in plan(topology, made_up | fixed, routers).hosts.items()}


def _free(topology: Topology, network: str, subnet: IPv4Network) -> Iterator[str]:
    fixed = {
        attachment.ipv4_address
        for node in topology.nodes
        for attachment in node.attachments
        if attachment.network == network
    }
    first = int(subnet.network_address)
    addresses = (str(IPv4Address(first + offset)) for offset in range(2, subnet.num_addresses - 1))
    return (address for address in addresses if address not in fixed)


def _next(free: Iterator[str], network: str, subnets: Mapping[str, IPv4Network]) -> str:
    address = next(free, None)
    if address is None:
        subnet = subnets[network]
        raise InputError(f"the subnet {subnet} of the network {network} has room for {room(subnet)} nodes only")
    return address


def _hosts(
    topology: Topology,
    interfaces: Mapping[str, tuple[Interface, ...]],
    ways: Mapping[str, tuple[Route, ...]],
    virtual: Mapping[str, Virtual],
) -> dict[str, dict[str, str]]:
    """First come: the node's own names, extra_hosts, names of nodes, then services and aliases in the file's order; at
    last those of networks that a route leads to."""
    node_names: dict[str, dict[str, str]] = {network.name: {} for network in topology.networks}
    aliases: dict[str, dict[str, str]] = {network.name: {} for network in topology.networks}
    for node in topology.nodes:
        for attachment, leg in zip(node.attachments, interfaces[node.name], strict=True):
            node_names[leg.network][node.name] = leg.address
            for alias in attachment.aliases:
                aliases[leg.network].setdefault(alias, leg.address)
    for name, address in virtual.items():
        node_names[address.network][name] = address.address
    hosts = {}
    for node in topology.nodes:
        legs = interfaces[node.name]
        own = {name: leg.address for leg in legs[:1] for name in (node.name, node.hostname) if name is not None}
        shared = [names[leg.network] for names in (node_names, aliases) for leg in legs]
        beyond = [names[way.network] for names in (node_names, aliases) for way in ways.get(node.name, ())]
        hosts[node.name] = _first_wins([own, node.extra_hosts, *shared, *beyond])
    return hosts


def _first_wins(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for mapping in mappings:
        merged.update((name, address) for name, address in mapping.items() if name not in merged)
    return merged
