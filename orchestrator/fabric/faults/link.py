"""Takes nodes off their networks, as a peer vanishes: packets are lost, and no kernel is told.

A link is cut in the fabric, where the leg of a node ends. So the node's interface keeps its carrier, and a sender hands
over every packet with success: TCP retransmits. A drop on the sender's own output would be told to its TCP, which then
only probes (`timer:(persist)`).

ARP would notice, though: after some seconds an entry that nobody confirms fails, and the sender's TCP gives up with
EHOSTUNREACH. A peer behind a router vanishes without that. So while a link is cut, its node and the others of the
network have each other's hardware address as a permanent entry.

Runs inside the probe, beside `wiring`.
"""

from __future__ import annotations

import fcntl
import itertools
import socket
import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from orchestrator.fabric.wiring import Fabric, Leg, mac
from orchestrator.system.linux import inside_netns

_SIOCSARP = 0x8955
_ATF_COM = 0x02
_ATF_PERM = 0x04
_ARPHRD_ETHER = 1

Pair = tuple[Leg, Leg]
"""Whose entry, and for whom."""


class Links:
    """Which legs of a wired fabric are cut. `netns`: node -> descriptor; `home`: the fabric's own namespace."""

    def __init__(self, fabric: Fabric, netns: Mapping[str, int], home: int) -> None:
        self._fabric = fabric
        self._netns = netns
        self._home = home
        self._cut: frozenset[Leg] = frozenset()

    def set(self, node: str, network: str | None, *, up: bool) -> None:
        """Cut the node off the network, or bring it back; without `network` all that it is on. What is so stays so.

        Raises OSError and pyroute2's NetlinkError with the kernel's reason.
        """
        ports = {
            port: leg
            for port, leg in self._fabric.ports.items()
            if leg.node == node and network in (None, leg.network) and (leg in self._cut) is up
        }
        legs = frozenset(ports.values())
        if up:
            for port in ports:
                self._fabric.plug(port)
            self._pin(self._cut - legs)
        else:
            self._pin(self._cut | legs)
            for port in ports:
                self._fabric.unplug(port)

    def _pin(self, cut: frozenset[Leg]) -> None:
        """Make the entries permanent that must be so while `cut` is cut off, and ordinary those that need not be."""
        legs = self._fabric.ports.values()
        was, becomes = pinned(legs, self._cut), pinned(legs, cut)
        changes = [(pair, True) for pair in becomes - was] + [(pair, False) for pair in was - becomes]
        changes.sort(key=lambda change: change[0][0].node)
        for node, group in itertools.groupby(changes, key=lambda change: change[0][0].node):
            with (
                inside_netns(self._netns[node], self._home),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
            ):
                for (own, other), permanent in group:
                    _set_neighbour(control, own.name, other.address, permanent=permanent)
        self._cut = cut


def pinned(legs: Iterable[Leg], cut: frozenset[Leg]) -> set[Pair]:
    """The pairs of legs of one network that cannot reach each other when `cut` is cut off; each in both orders."""
    networks: dict[str, list[Leg]] = {}
    for leg in legs:
        networks.setdefault(leg.network, []).append(leg)
    lost = {(one, other) for one in cut for other in networks[one.network] if other != one}
    return lost | {(other, one) for one, other in lost}


def _set_neighbour(control: socket.socket, interface: str, address: str, *, permanent: bool) -> None:
    """arp(7), `struct arpreq`. An entry that is not permanent is stale: right until the next use, which confirms it."""
    fcntl.ioctl(
        control,
        _SIOCSARP,
        struct.pack(
            "HH4s8xH14si16x16s",
            socket.AF_INET,
            0,
            IPv4Address(address).packed,
            _ARPHRD_ETHER,
            bytes.fromhex(mac(address).replace(":", "")),
            _ATF_COM | (_ATF_PERM if permanent else 0),
            interface.encode(),
        ),
    )
