"""The blocks of a pcapng file, as bytes. Pure.

A file is one `section`, an `interface` for each, then any number of the other blocks in any order. Little endian, link
type Ethernet, times in nanoseconds since the epoch. Strings may have up to 65535 bytes of UTF-8. libpcap wants one snap
length for all interfaces of a file, so there is only `SNAP`. Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface

SNAP = 262_144
"""Bytes kept of a frame at most; the most that libpcap takes, and more than Linux ever sends in one."""

_ETHERNET = 1
_SECTION, _INTERFACE, _NAMES, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 4, 5, 6
_COMMENT = 1
_NANOSECONDS = b"\x09"  # 10 to the power of -9

_PACKET_HEAD = struct.Struct("<7I")
_PACKET_TAILS = tuple(struct.Struct(f"<{padding}xI") for padding in range(4))

Options = Iterable[tuple[int, bytes]]


def section(*, application: str, system: str, comment: str) -> bytes:
    """The block that begins a file: what wrote it, on what, and a comment."""
    head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)  # version 1.0, length not given
    options = [(_COMMENT, comment.encode()), (3, system.encode()), (4, application.encode())]
    return _block(_SECTION, head, options)


def interface(*, name: str, description: str, address: IPv4Interface, mac: str) -> bytes:
    """An interface; the first one of a file is number 0. `mac` is written 02:00:c6:12:00:02."""
    options = [
        (2, name.encode()),
        (3, description.encode()),
        (4, address.ip.packed + address.netmask.packed),
        (6, bytes.fromhex(mac.replace(":", ""))),
        (9, _NANOSECONDS),
    ]
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, SNAP), options)


def names(addresses: Mapping[str, str]) -> bytes:
    """IPv4 address -> name, for readers that show names."""
    records = b""
    for address, name in addresses.items():
        value = IPv4Interface(address).ip.packed + name.encode() + b"\0"
        records += struct.pack("<HH", 1, len(value)) + _padded(value)
    return _block(_NAMES, records + struct.pack("<HH", 0, 0), [])


def packet(interface: int, time_ns: int, data: bytes, length: int) -> bytes:
    """A frame: what was kept of it, and the length that it had. Written once per frame, so it is written flat."""
    kept = len(data)
    padding = -kept & 3
    total = 32 + kept + padding
    head = _PACKET_HEAD.pack(_PACKET, total, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, kept, length)
    return head + data + _PACKET_TAILS[padding].pack(total)


def statistics(interface: int, time_ns: int, *, began_ns: int, written: int, dropped: int, comment: str = "") -> bytes:
    """What became of the frames of an interface until `time_ns`: `written` into this file, `dropped` by the kernel."""
    options = [(_COMMENT, comment.encode())] if comment else []
    options += [
        (2, _timestamp(began_ns)),
        (3, _timestamp(time_ns)),
        (4, struct.pack("<Q", written + dropped)),
        (7, struct.pack("<Q", dropped)),
        (8, struct.pack("<Q", written)),
    ]
    return _block(_STATISTICS, struct.pack("<I", interface) + _timestamp(time_ns), options)


def _timestamp(time_ns: int) -> bytes:
    return struct.pack("<II", time_ns >> 32, time_ns & 0xFFFFFFFF)


def _block(kind: int, body: bytes, options: Options) -> bytes:
    coded = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    if coded:
        coded += struct.pack("<HH", 0, 0)
    total = 12 + len(body) + len(coded)
    return struct.pack("<II", kind, total) + body + coded + struct.pack("<I", total)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) & 3)
