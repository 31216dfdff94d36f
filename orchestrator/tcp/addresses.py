"""Addresses as recordings spell them: `198.18.0.2:8080`, `[2001:db8::1]:8080`, `0.0.0.0:0` for any."""

from __future__ import annotations

from collections.abc import Mapping

ANY = ("0.0.0.0", "::", "*")
"""What a socket that listens on every address shows as its own."""


def split_address(address: str) -> tuple[str, int | None]:
    """Host and port; the port is None when it is not a number (`*`)."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isascii() and port.isdigit() else None


def is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def node_at(address: str, seen_by: str, addresses: Mapping[str, str]) -> str | None:
    """The node that owns an address, as a socket of the node `seen_by` means it; None when no node does.

    Loopback means the node itself, so equal loopback pairs of two nodes are never taken for one connection.
    """
    host = split_address(address)[0]
    return seen_by if is_loopback(host) else addresses.get(host)
