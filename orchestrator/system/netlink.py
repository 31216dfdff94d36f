"""How every netlink family packs what it says: a message's header, and attributes (linux/netlink.h)."""

from __future__ import annotations

import struct
from typing import TypeVar

HEADER = struct.Struct("=IHHII")
"""`struct nlmsghdr`: length, type, flags, sequence number, port."""

_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF
"""Of an attribute's type, without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER."""

Data = TypeVar("Data", bytes, memoryview)


def attribute(kind: int, value: bytes) -> bytes:
    """`struct nlattr` with its value, filled up to a multiple of 4 bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: Data) -> dict[int, Data]:
    """Type -> value, of attributes that stand one behind the other."""
    found: dict[int, Data] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found
