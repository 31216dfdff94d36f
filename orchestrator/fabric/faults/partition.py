"""Takes nodes off their networks, as a peer vanishes: packets are lost, and no kernel is told.

A node is cut off in the fabric, where its leg ends. So the node's interface keeps its carrier, and a sender hands over
every packet with success: TCP retransmits. A drop on the sender's own output would be told to its TCP, which then only
probes (`timer:(persist)`).

ARP would notice, though: after some seconds an entry that nobody confirms fails, and the sender's TCP gives up with
EHOSTUNREACH. A peer behind a router vanishes without that. So while it lasts, the node and the others of the
network have each other's hardware address as a permanent entry.

Runs inside the probe, beside `wiring`.
"""

from __future__ import annotations

import fcntl
import itertools
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from orchestrator.fabric.faults.base import Fault, Wired
from orchestrator.fabric.wiring import Leg, mac
from orchestrator.system.linux import inside_netns
from orchestrator.text.record import record

_SIOCSARP = 0x8955
_ATF_COM = 0x02
_ATF_PERM = 0x04
_ARPHRD_ETHER = 1

Pair = tuple[Leg, Leg]
"""Whose entry, and for whom."""


@record
class Settings:
    """Without a network all that the node is on."""

    network: str | None = None


class Partition(Fault[Settings]):
    """Remembers which legs of a wired fabric are cut off."""

    name = "partition"
    settings = Settings

    def __init__(self, wired: Wired) -> None:
        super().__init__(wired)
        self._cut: frozenset[Leg] = frozenset()

    def apply(self, node: str, settings: Settings) -> None:
        """Cut the node off the network."""
        ports = self._ports(node, settings, cut=False)
        self._pin(self._cut.union(ports.values()))
        for port in ports:
            self.wired.fabric.detach(port)

    def heal(self, node: str, settings: Settings) -> None:
        """Bring it back."""
        ports = self._ports(node, settings, cut=True)
        for port in ports:
            self.wired.fabric.attach(port)
        self._pin(self._cut.difference(ports.values()))

    def _ports(self, node: str, settings: Settings, *, cut: bool) -> dict[str, Leg]:
        """The ports of the node in the network that are cut off, or that are not."""
        return {
            port: leg
            for port, leg in self.wired.fabric.ports.items()
            if leg.node == node and settings.network in (None, leg.network) and (leg in self._cut) is cut
        }

    def _pin(self, cut: frozenset[Leg]) -> None:
        """Make the entries permanent that must be so while `cut` is cut off, and ordinary those that need not be."""
        legs = self.wired.fabric.ports.values()
        was, becomes = pinned(legs, self._cut), pinned(legs, cut)
        changes = [(pair, True) for pair in becomes - was] + [(pair, False) for pair in was - becomes]
        changes.sort(key=lambda change: change[0][0].node)
        for node, group in itertools.groupby(changes, key=lambda change: change[0][0].node):
            with (
                inside_netns(self.wired.netns[node], self.wired.home),
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
