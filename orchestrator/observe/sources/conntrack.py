"""What a NAT makes of addresses: events of the conntrack table of one network namespace, over netlink.

Conntrack reports every entry when its first segment has passed, and when the entry is gone, so nothing has to be looked
for, and a connection of a millisecond is reported like any other. Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.system.netlink import HEADER, attributes

_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33
_GROUPS = 1 << 0 | 1 << 2
"""NFNLGRP_CONNTRACK_NEW and NFNLGRP_CONNTRACK_DESTROY."""
_NEW, _DELETE = 0x100, 0x102
"""NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_DELETE."""

_ROOM = 1 << 23
"""Bytes that may wait in the kernel from one reading to the next: several thousand events."""
_BUFFER = 1 << 16

_BODY = HEADER.size + 4

_ORIG, _REPLY = 1, 2
_IP, _PROTO = 1, 2
_SRC, _DST = 1, 2
_NUM, _SRC_PORT, _DST_PORT = 1, 2, 3

_NOTHING = memoryview(b"")


class ConntrackEntry(NamedTuple):
    """An entry that came or went. Addresses (`198.18.0.2:8080`) of a connection's first segment, before and after."""

    new: bool
    source: str
    destination: str
    new_source: str
    new_destination: str


class Conntrack:
    """Listens in the network namespace in which it is made. `lost`: events that the kernel had no room for.

    Raises OSError where the kernel has no such thing.
    """

    def __init__(self) -> None:
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        except OSError as error:
            raise OSError(error.errno, "this kernel has no nfnetlink, which a NAT and its recording need") from None
        try:
            self._netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        except PermissionError:  # the root of a user namespace gets what everybody gets
            self._netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._netlink.bind((0, _GROUPS))
        self.lost = False

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._netlink.fileno()

    def take(self) -> list[ConntrackEntry]:
        """The TCP entries that came and went since the last time and whose addresses are translated, in order."""
        found: list[ConntrackEntry] = []
        while True:
            try:
                found += entries(self._netlink.recv(_BUFFER, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost = True

    def close(self) -> None:
        self._netlink.close()


def entries(data: bytes) -> Iterator[ConntrackEntry]:
    """The entries in one datagram."""
    view = memoryview(data)
    while len(view) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(view)
        if kind in (_NEW, _DELETE):
            top = attributes(view[_BODY:length])
            came, back = _tuple(top.get(_ORIG, _NOTHING)), _tuple(top.get(_REPLY, _NOTHING))
            if came and back and came != back[::-1]:
                yield ConntrackEntry(kind == _NEW, *came, *back[::-1])
        view = view[(length + 3) & ~3 or len(view) :]


def _tuple(view: memoryview) -> tuple[str, str] | None:
    """Source and destination; None for what is no TCP over IPv4."""
    nested = attributes(view)
    address, protocol = attributes(nested.get(_IP, _NOTHING)), attributes(nested.get(_PROTO, _NOTHING))
    if _NUM not in protocol or protocol[_NUM][0] != socket.IPPROTO_TCP:
        return None
    if not all(len(address.get(each, b"")) == 4 for each in (_SRC, _DST)):
        return None
    ports = [int.from_bytes(protocol[each], "big") for each in (_SRC_PORT, _DST_PORT)]
    source, destination = (socket.inet_ntoa(address[each]) for each in (_SRC, _DST))
    return f"{source}:{ports[0]}", f"{destination}:{ports[1]}"
