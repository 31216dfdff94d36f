"""Addresses that a network namespace gets while it is watched: rtnetlink(7) tells of each."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

_NETLINK_ROUTE = 0
_IPV4_ADDRESSES = 0x10
"""RTMGRP_IPV4_IFADDR"""

_NEW_ADDRESS = 20
_HEAD = struct.Struct("=IH10x")  # nlmsghdr: length, type
_ATTRIBUTE = struct.Struct("=HH")
_IFADDRMSG = 8
_LOCAL = 2
"""IFA_LOCAL: the interface's own address."""


class Addresses:
    """New IPv4 addresses of the network namespace in which it was made, from then on."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_ROUTE)
        try:
            self._socket.bind((0, _IPV4_ADDRESSES))
        except BaseException:
            self._socket.close()
            raise

    def take(self) -> list[str]:
        """Those that came since the last call, loopback's aside."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError, OSError):  # OSError: too many at once; the sockets tell of them then
            while True:
                found += _addresses(self._socket.recv(1 << 16))
        return [address for address in found if not address.startswith("127.")]

    def close(self) -> None:
        self._socket.close()


def _addresses(data: bytes) -> Iterator[str]:
    offset = 0
    while offset + _HEAD.size <= len(data):
        length, kind = _HEAD.unpack_from(data, offset)
        if kind == _NEW_ADDRESS:
            yield from _own(data[offset + _HEAD.size + _IFADDRMSG : offset + length])
        offset += max(_HEAD.size, length + 3 & ~3)


def _own(attributes: bytes) -> Iterator[str]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, offset)
        if kind == _LOCAL:
            yield socket.inet_ntoa(attributes[offset + _ATTRIBUTE.size : offset + _ATTRIBUTE.size + 4])
        offset += max(_ATTRIBUTE.size, length + 3 & ~3)
