"""Which IPv4 subnets and addresses a lab may have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

ADDRESS_SPACE = tuple(
    IPv4Network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        "100.64.0.0/10",
        "198.18.0.0/15",
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    )
)
"""Where a subnet may lie: RFC 1918, RFC 6598, RFC 2544, RFC 5737. A lab never takes real addresses."""


def parse_subnet(text: str) -> IPv4Network:
    """A subnet that a lab may have. Raises ValueError."""
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"expected an IPv4 subnet such as 10.5.0.0/24: {error}") from None
    check_subnet(network)
    return network


def check_subnet(network: IPv4Network) -> None:
    """Raises ValueError unless a lab may have that subnet: private or benchmark space, /8 to /29."""
    if not any(network.subnet_of(space) for space in ADDRESS_SPACE):
        spaces = ", ".join(str(space) for space in ADDRESS_SPACE)
        raise ValueError(f"{network} is no private address space: a lab uses {spaces}")
    if network.prefixlen > 29:
        raise ValueError(f"{network} is too small: use a prefix of 29 or shorter")


def parse_address(text: str) -> IPv4Address:
    """Raises ValueError."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError(f"expected an IPv4 address such as 10.5.0.10, not {text[:60]!r}") from None


def room(network: IPv4Network) -> int:
    """How many nodes it holds: all addresses but its own, the broadcast and the first, a gateway's by custom."""
    return network.num_addresses - 3
