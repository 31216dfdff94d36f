"""Top-level `networks` of a Compose file, and what attachments to them must fulfil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from orchestrator.bounds import NETWORKS
from orchestrator.text.record import record
from orchestrator.text.suggest import suggestion
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.compose.limits import host_problem
from orchestrator.topology.compose.service import DEFAULT_NETWORK, Service
from orchestrator.topology.model import Network
from orchestrator.topology.subnets import parse_subnet, room


@record
class Declared:
    """A network of the file; `default` needs no declaration, and has no cursor then."""

    name: str
    subnet: IPv4Network | None = None
    broken: bool = False
    """What the file says of its subnet is wrong, and was reported."""
    cursor: Cursor | None = None


def read_networks(cursor: Cursor | None) -> dict[str, Declared]:
    """Every declared network; notes problems."""
    declared: dict[str, Declared] = {}
    found = cursor.mapping("the networks: a map") if cursor is not None else {}
    if cursor is not None and len(found) > NETWORKS.limit:
        cursor.problem(f"the topology has {len(found)} networks: {NETWORKS.limit} at most", of_key=True)
    for name, at in found.items():
        if (problem := host_problem(name, "a network", longest=63)) is not None:
            at.problem(problem, of_key=True)
            continue
        fields = at.fields(keys.NETWORK)
        if "internal" in fields:
            fields["internal"].flag()
        _check_external(fields.get("external"), name)
        _check_driver(fields.get("driver"))
        ipam = fields.get("ipam")
        before = len(at.reading.problems)
        subnet = _subnet(ipam)
        broken = len(at.reading.problems) > before
        for other in declared.values() if subnet else ():
            if ipam is not None and subnet and other.subnet and subnet.overlaps(other.subnet):
                ipam.problem(f"the subnet {subnet} overlaps {other.subnet} of the network {other.name}")
        declared[name] = Declared(name, subnet, broken, at)
    return declared


def used_networks(declared: Mapping[str, Declared], services: Sequence[Service]) -> tuple[Network, ...]:
    """Checks every attachment; the networks that have nodes, in the file's order, `default` last unless declared."""
    known = {**declared}
    known.setdefault(DEFAULT_NETWORK, Declared(DEFAULT_NETWORK))
    members: dict[str, int] = {}
    addresses: dict[tuple[str, str], str] = {}
    for service in services:
        for attachment in service.node.attachments:
            name = attachment.network
            if name not in known:
                service.networks[name].problem(
                    f"the service {service.node.name} joins the network {name[:60]!r}, which is not declared",
                    hint=suggestion(name, declared) or f"add it: `networks: {{{name[:60]}: {{}}}}`",
                )
                continue
            members[name] = members.get(name, 0) + service.replicas
            if attachment.ipv4_address is not None:
                _check_address(service, known[name], attachment.ipv4_address, addresses)
    for network in known.values():
        _check_members(network, members.get(network.name, 0))
    return tuple(Network(n.name, str(n.subnet) if n.subnet else None) for n in known.values() if n.name in members)


def _check_external(cursor: Cursor | None, name: str) -> None:
    if cursor is None or (not isinstance(cursor.value, dict) and not cursor.flag()):
        return
    cursor.problem(
        f"the network {name} is external: a lab never joins a network of the machine",
        hint="remove `external`; the lab makes its own",
    )


def _check_driver(cursor: Cursor | None) -> None:
    driver = cursor.text() if cursor is not None and cursor.value is not None else None
    if cursor is not None and driver not in (None, "", "bridge"):
        cursor.note(f"the driver {driver} is passed over: every network of a lab is a closed bridge")


def _subnet(ipam: Cursor | None) -> IPv4Network | None:
    """The first IPv4 subnet of `ipam.config`; further IPv4 ones are a problem, IPv6 ones a note."""
    fields = ipam.fields(keys.IPAM) if ipam is not None else {}
    subnet: IPv4Network | None = None
    for item in fields["config"].sequence("a list of mappings with `subnet`") if "config" in fields else []:
        at = item.fields(keys.IPAM_CONFIG).get("subnet")
        text = at.word("a subnet") if at is not None else None
        if at is None or text is None:
            continue
        if ":" in text:
            at.note(f"the subnet {text[:60]} is passed over: a lab has IPv4 only")
            continue
        if subnet is not None:
            at.problem("a network has one IPv4 subnet; this is the second")
            continue
        try:
            subnet = parse_subnet(text)
        except ValueError as error:
            at.problem(str(error))
    return subnet


def _check_address(service: Service, network: Declared, text: str, taken: dict[tuple[str, str], str]) -> None:
    name, at = service.node.name, service.networks[network.name].at("ipv4_address")
    address = IPv4Address(text)
    if network.broken:
        return
    if network.subnet is None:
        at.problem(
            f"{name} asks for the address {text}, but the network {network.name} has no subnet",
            hint=f"add it: `{network.name}: {{ipam: {{config: [{{subnet: {text.rpartition('.')[0]}.0/24}}]}}}}`",
        )
    elif address not in network.subnet:
        at.problem(f"the address {text} of {name} lies outside the subnet {network.subnet} of {network.name}")
    elif address in (network.subnet.network_address, network.subnet.broadcast_address):
        at.problem(f"the address {text} of {name} is the subnet's own or its broadcast address")
    elif service.replicas > 1:
        at.problem(f"{name} has {service.replicas} replicas, but one ipv4_address", hint="remove the address")
    elif (network.name, text) in taken:
        at.problem(f"the address {text} is given to {taken[network.name, text]} already")
    else:
        taken[network.name, text] = name


def _check_members(network: Declared, count: int) -> None:
    if network.cursor is None:
        return
    if count == 0:
        network.cursor.note(f"the network {network.name} is left out: no service joins it")
    elif network.subnet is not None and count > room(network.subnet):
        network.cursor.problem(
            f"the subnet {network.subnet} has room for {room(network.subnet)} nodes, but {network.name} has {count}"
        )
