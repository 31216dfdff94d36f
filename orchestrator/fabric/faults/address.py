"""An address that a node has besides its own, as of a virtual IP. Runs inside the probe, beside `wiring`.

Neighbours learn of the new place by a gratuitous ARP (RFC 5227, 3), as keepalived sends one; without it they go on
sending to the old one until they ask anew.
"""

from __future__ import annotations

import errno
import socket
import struct

from orchestrator.fabric import rtnetlink
from orchestrator.fabric.faults.base import Fault
from orchestrator.fabric.wiring import Leg, mac
from orchestrator.system.linux import inside_netns
from orchestrator.text.record import record

_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_REQUEST = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4, _ARP_REQUEST = 1, 0x0800, 1


@record
class Settings:
    """`announce`: by a gratuitous ARP."""

    address: str
    network: str
    announce: bool = True


class Address(Fault[Settings]):
    """Adds it to the node's interface in that network; to heal is to remove it."""

    name = "address"
    settings = Settings

    def apply(self, node: str, settings: Settings) -> None:
        leg = self._leg(node, settings)
        self._change(leg, rtnetlink.add_address, settings, errno.EEXIST)
        if settings.announce:
            with (
                inside_netns(self.wired.netns[node], self.wired.home),
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as link,
            ):
                link.bind((leg.name, _ARP))
                link.send(gratuitous_arp(bytes.fromhex(mac(leg.address).replace(":", "")), settings.address))

    def heal(self, node: str, settings: Settings) -> None:
        self._change(self._leg(node, settings), rtnetlink.delete_address, settings, errno.EADDRNOTAVAIL)

    def _leg(self, node: str, settings: Settings) -> Leg:
        return next(
            leg for leg in self.wired.fabric.ports.values() if leg.node == node and leg.network == settings.network
        )

    def _change(self, leg: Leg, change: rtnetlink.AddressChange, settings: Settings, already: int) -> None:
        with inside_netns(self.wired.netns[leg.node], self.wired.home):
            netlink = rtnetlink.Rtnetlink()
            try:
                netlink.do([change(socket.if_nametoindex(leg.name), settings.address, leg.prefix)])
            except OSError as error:
                if error.errno != already:
                    raise
            finally:
                netlink.close()


def gratuitous_arp(sender: bytes, address: str) -> bytes:
    """A frame that asks for the address in the name of who has it."""
    own = socket.inet_aton(address)
    request = _REQUEST.pack(_ETHERNET, _IPV4, 6, 4, _ARP_REQUEST,
                            sender, own, bytes(6), own)  # fmt: skip
    return _BROADCAST + sender + _ARP.to_bytes(2, "big") + request
