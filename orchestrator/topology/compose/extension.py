"""What a lab can have and Compose has no word for: the keys `x-simctl`, which Compose passes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network

from orchestrator.errors import Place
from orchestrator.text.record import record
from orchestrator.text.suggest import suggestion
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.compose.limits import host_problem
from orchestrator.topology.model import Network, Node, VirtualAddress
from orchestrator.topology.subnets import room


@record
class Via:
    """A node's route to a network; `cursor` is where the file says it."""

    network: str
    node: str
    cursor: Cursor


def read_routes(cursor: Cursor | None) -> tuple[Via, ...]:
    """Of a service; checked by `checked_routes` when all services are known."""
    if cursor is None:
        return ()
    fields = cursor.fields(keys.SERVICE_EXTENSION)
    if "routes" not in fields:
        return ()
    given = fields["routes"].mapping("routes: a map of networks to nodes").items()
    return tuple(Via(network, via, at) for network, at in given if (via := at.word("the name of a node")) is not None)


def checked_routes(
    routes: Mapping[str, Sequence[Via]], nodes: Sequence[Node], networks: Sequence[Network]
) -> dict[str, dict[str, str]]:
    """Service -> network -> the node through which it is reached; notes each that cannot be."""
    by_name = {node.name: node for node in nodes}
    found: dict[str, dict[str, str]] = {}
    for service, vias in routes.items():
        own = {leg.network for node in nodes if node.service == service for leg in node.attachments}
        for via in vias:
            router = by_name.get(via.node)
            if via.network not in {network.name for network in networks}:
                hint = suggestion(via.network, [network.name for network in networks])
                via.cursor.problem(f"there is no network {via.network[:60]} to route to", hint=hint, of_key=True)
            elif via.network in own:
                via.cursor.problem(f"{service} is on the network {via.network} itself: it needs no route", of_key=True)
            elif router is None or router.service == service:
                via.cursor.problem(f"there is no other node {via.node[:60]}", hint=suggestion(via.node, list(by_name)))
            elif not own & {leg.network for leg in router.attachments}:
                via.cursor.problem(
                    f"{service} and {via.node} share no network", hint="name a node that is on one of its"
                )
            else:
                found.setdefault(service, {})[via.network] = via.node
    return found


def read_addresses(
    cursor: Cursor | None, nodes: Sequence[Node], networks: Sequence[Network]
) -> tuple[VirtualAddress, ...]:
    """The virtual addresses of a file; notes each that cannot be."""
    fields = cursor.fields(keys.EXTENSION) if cursor is not None else {}
    given = fields["addresses"].mapping("addresses: a map of names") if "addresses" in fields else {}
    taken = {name.lower() for node in nodes for name in (node.name, node.service, node.hostname) if name}
    taken |= {alias.lower() for node in nodes for leg in node.attachments for alias in leg.aliases}
    found = []
    for name, at in given.items():
        if (problem := host_problem(name, "a virtual address", longest=63)) is not None:
            at.problem(problem, of_key=True)
        elif name.lower() in taken:
            at.problem(f"{name} is the name of a node already", hint="give the address another one", of_key=True)
        elif (address := _address(name, at, nodes, networks)) is not None:
            taken.add(name.lower())
            found.append(address)
            _check_room(at, address.network, found, nodes, networks)
    return tuple(found)


def _check_room(
    cursor: Cursor,
    network: str,
    found: Sequence[VirtualAddress],
    nodes: Sequence[Node],
    networks: Sequence[Network],
) -> None:
    subnet = next(each.subnet for each in networks if each.name == network)
    members = sum(leg.network == network for node in nodes for leg in node.attachments)
    count = members + sum(address.network == network for address in found)
    if subnet is not None and count > room(IPv4Network(subnet)):
        cursor.problem(
            f"the subnet {subnet} has room for {room(IPv4Network(subnet))} addresses, but {network} needs {count}",
            of_key=True,
        )


def _address(name: str, cursor: Cursor, nodes: Sequence[Node], networks: Sequence[Network]) -> VirtualAddress | None:
    fields = cursor.fields(keys.VIRTUAL_ADDRESS)
    if not isinstance(cursor.value, dict | None):
        return None
    for key in ("network", "node"):
        if key not in fields:
            cursor.problem(f"the address {name} needs a `{key}`: {keys.VIRTUAL_ADDRESS.read[key]}", of_key=True)
            return None
    network, holder = fields["network"].word("the name of a network"), fields["node"].word("the name of a node")
    if network is None or holder is None:
        return None
    names = [each.name for each in networks]
    node = next((each for each in nodes if each.name == holder), None)
    if network not in names:
        fields["network"].problem(f"there is no network {network[:60]}", hint=suggestion(network, names))
    elif node is None:
        known = [each.name for each in nodes]
        fields["node"].problem(f"there is no node {holder[:60]}", hint=suggestion(holder, known))
    elif network not in {leg.network for leg in node.attachments}:
        fields["node"].problem(f"{holder} is not on the network {network}")
    else:
        place: Place = cursor.place(of_key=True)
        return VirtualAddress(name, network, holder, place)
    return None
