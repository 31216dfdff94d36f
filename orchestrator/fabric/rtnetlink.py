"""The requests of rtnetlink that make a lab's network, many in one system call.

pyroute2 does them as well, but its import alone is 145 ms, and its requests go one by one. It stays for what is not on
the way of every lab.
Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence

from orchestrator.system.netlink import HEADER, attribute

_NEWLINK, _GETLINK, _SETLINK = 16, 18, 19
_NEWADDR, _DELADDR = 20, 21
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_ERROR = 2
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_ADDRESS, _IFNAME, _MASTER, _LINKINFO, _ALIAS, _NET_NS_FD = 1, 3, 10, 18, 20, 28
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_IFF_UP = 1

_LINK = struct.Struct("=BxHiII")
_IFADDRMSG = struct.Struct("=BBBBI")
_CODE = struct.Struct("=i")

_AT_A_TIME = 64
"""Requests in a system call; their answers, 36 bytes and more each, must fit into the socket's buffer."""

Request = tuple[int, bytes]
"""Type and flags in one number (type << 16 | flags), and what follows the header."""


def add_bridge(name: str) -> Request:
    """Spanning tree is off by default, so a port of it forwards at once."""
    return _add(_link() + _text(_IFNAME, name) + attribute(_LINKINFO, _text(_INFO_KIND, "bridge")))


def add_veth(name: str, bridge: int, peer: str, netns: int, mac: bytes) -> Request:
    """A pair: `name` here, up, a port of the bridge with index `bridge`; `peer`, with address `mac`, in the network
    namespace of the descriptor `netns`."""
    far = _link() + _text(_IFNAME, peer) + _number(_NET_NS_FD, netns) + attribute(_ADDRESS, mac)
    kind = _text(_INFO_KIND, "veth") + attribute(_INFO_DATA, attribute(_VETH_PEER, far))
    return _add(_link(up=True) + _text(_IFNAME, name) + _number(_MASTER, bridge) + attribute(_LINKINFO, kind))


def bring_up(index: int, alias: str) -> Request:
    """Of `alias` the first 255 bytes count."""
    return _SETLINK << 16, _link(index, up=True) + attribute(_ALIAS, alias.encode()[:255])


def set_master(index: int, bridge: int) -> Request:
    """Make an interface a port of a bridge; 0: of none."""
    return _SETLINK << 16, _link(index) + _number(_MASTER, bridge)


def add_address(index: int, address: str, prefix: int) -> Request:
    """Give an interface one more IPv4 address."""
    return _NEWADDR << 16 | _CREATE | _EXCLUSIVE, _address(index, address, prefix)


def delete_address(index: int, address: str, prefix: int) -> Request:
    return _DELADDR << 16, _address(index, address, prefix)


AddressChange = Callable[[int, str, int], Request]


def get(index: int) -> Request:
    """What it answers is not read; it takes the lock under which all of the above is done."""
    return _GETLINK << 16, _link(index)


class Rtnetlink:
    """A socket of the network namespace in which it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def do(self, requests: Sequence[Request]) -> None:
        """Do them in their order. Raises OSError with the kernel's reason for the first that it refuses."""
        for start in range(0, len(requests), _AT_A_TIME):
            some = requests[start : start + _AT_A_TIME]
            self._socket.send(b"".join(self._message(request) for request in some))
            self._await(self._sequence)

    def _message(self, request: Request) -> bytes:
        what, body = request
        self._sequence += 1
        flags = what & 0xFFFF | _REQUEST | _ACK
        return HEADER.pack(HEADER.size + len(body), what >> 16, flags, self._sequence, 0) + body

    def _await(self, last: int) -> None:
        """Read answers until that of the last request."""
        refused = 0
        while True:
            data = self._socket.recv(1 << 16)
            at = 0
            while at < len(data):
                length, kind, _, sequence, _ = HEADER.unpack_from(data, at)
                if kind == _ERROR:
                    refused = refused or -_CODE.unpack_from(data, at + HEADER.size)[0]
                    if sequence == last:
                        if refused:
                            raise OSError(refused, os.strerror(refused))
                        return
                at += (length + 3) & ~3

    def close(self) -> None:
        self._socket.close()


def _add(body: bytes) -> Request:
    return _NEWLINK << 16 | _CREATE | _EXCLUSIVE, body


def _link(index: int = 0, *, up: bool = False) -> bytes:
    """`struct ifinfomsg`."""
    return _LINK.pack(socket.AF_UNSPEC, 0, index, _IFF_UP if up else 0, _IFF_UP if up else 0)


def _address(index: int, address: str, prefix: int) -> bytes:
    """`struct ifaddrmsg`."""
    packed = socket.inet_aton(address)
    head = _IFADDRMSG.pack(socket.AF_INET, prefix, 0, 0, index)
    return head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, sys.byteorder))
