"""What is in the conntrack table of this network namespace, and what no longer is, over netlink.

Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_NETFILTER = 12
_SUBSYSTEM = 1 << 8
_GET = _SUBSYSTEM | 1
_DELETE = _SUBSYSTEM | 2
_DESTROYED = 1 << 2
"""NFNLGRP_CONNTRACK_DESTROY"""
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301

_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF

_ORIGINAL, _REPLY = 1, 2
_ADDRESSES, _PROTOCOL = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3

_ROOM = 1 << 23
_BUFFER = 1 << 16


class Ends(NamedTuple):
    """Of TCP over IPv4, as nft writes them."""

    source: str
    source_port: int
    destination: str
    destination_port: int


class Flow(NamedTuple):
    """What its first packet had, and what the answers have."""

    original: Ends
    reply: Ends


class Table:
    """Listens to what goes from now on. Raises OSError where the kernel has no such thing."""

    def __init__(self) -> None:
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        self._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._events.bind((0, _DESTROYED))
        self._questions = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        self._questions.bind((0, 0))
        self.lost = False
        """Whether the kernel had no room for some."""

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._events.fileno()

    def take(self) -> list[Flow]:
        """Those that went since the last time."""
        found: list[Flow] = []
        while True:
            try:
                data = self._events.recv(_BUFFER, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost = True
                continue
            for kind, body in _messages(data):
                if kind == _DELETE and (flow := _flow(body)) is not None:
                    found.append(flow)

    def look(self) -> set[Flow]:
        """All that are in the table now. Whoever reads the table has the kernel throw out what has expired, which
        otherwise it may do a minute later (ctnetlink_dump_table)."""
        length = _HEADER.size + _FAMILY.size
        self._questions.send(_HEADER.pack(length, _GET, _REQUEST_DUMP, 1, 0) + _FAMILY.pack(socket.AF_INET, 0, 0))
        found: set[Flow] = set()
        while True:
            for kind, body in _messages(self._questions.recv(_BUFFER)):
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    code = -int(struct.unpack_from("=i", body)[0])
                    raise OSError(code, os.strerror(code))
                if (flow := _flow(body)) is not None:
                    found.add(flow)


def _messages(data: bytes) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(data)
    while len(view) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(view)
        if length < _HEADER.size:
            return
        yield kind, view[_HEADER.size : length]
        view = view[(length + 3) & ~3 :]


def _flow(body: memoryview) -> Flow | None:
    top = _attributes(body[_FAMILY.size :])
    original, reply = (_ends(top.get(number, memoryview(b""))) for number in (_ORIGINAL, _REPLY))
    return Flow(original, reply) if original and reply else None


def _ends(view: memoryview) -> Ends | None:
    nested = _attributes(view)
    addresses = _attributes(nested.get(_ADDRESSES, memoryview(b"")))
    protocol = _attributes(nested.get(_PROTOCOL, memoryview(b"")))
    if _NUMBER not in protocol or protocol[_NUMBER][0] != socket.IPPROTO_TCP:
        return None
    if not all(len(addresses.get(each, b"")) == 4 for each in (_SOURCE, _DESTINATION)):
        return None
    source, destination = (socket.inet_ntoa(addresses[each]) for each in (_SOURCE, _DESTINATION))
    ports = [int.from_bytes(protocol[each], "big") for each in (_SOURCE_PORT, _DESTINATION_PORT)]
    return Ends(source, ports[0], destination, ports[1])


def _attributes(view: memoryview) -> dict[int, memoryview]:
    found: dict[int, memoryview] = {}
    while len(view) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(view)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE] = view[_ATTRIBUTE.size : length]
        view = view[(length + 3) & ~3 :]
    return found
