"""What a full socket has sent and received: the part of the kernel's `struct tcp_info` (linux/tcp.h) that is recorded.

The struct only ever grows at its end, so an offset holds for every kernel whose struct is long enough:
`tcpi_bytes_sent` and `tcpi_bytes_retrans` are there since Linux 4.19. Of an older kernel nothing is read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

EXTENSION = 1 << 1
"""In the request: INET_DIAG_INFO wanted (linux/inet_diag.h)."""

_INFO = 2
_FIRST = 72
"""Bytes of an inet_diag message before its attributes, and with the 16 of its netlink header 88."""
_ATTRIBUTE = struct.Struct("=HH")
_BYTES, _SEGMENTS = 124, 156
"""From the attribute's head on: bytes acknowledged and received; segments with data in and out. These change only when
something goes over the wire, and of all that is read nothing changes without them or the queues."""
_READING = struct.Struct("=44xI4xI64xQQ8xI4xII40xQQ")
_LEAST = 4 + _READING.size

NOTHING = bytes(24)


class Traffic(NamedTuple):
    """Bytes, whether a program reports them or not. A SYN or FIN counts as one byte in `acked`, a FIN in `received`."""

    acked: int
    """Of what it sent, acknowledged."""
    received: int
    sent: int
    """Data, with what was sent again."""
    unsent: int
    """Written by the program, and not sent yet."""
    sent_ago: float | None
    """Seconds since it last sent data; None: it never did."""
    received_ago: float | None
    resent: int = 0
    """Of `sent`: what was sent again."""

    def fields(self, t: float) -> dict[str, float]:
        """As a recording has it, of a sample at `t`: `received` always, of the others those that are not 0."""
        found: dict[str, float] = {"received": self.received}
        found |= {name: value for name in ("acked", "sent", "unsent", "resent") if (value := getattr(self, name))}
        if self.sent_ago is not None:
            found["sent_at"] = round(t - self.sent_ago, 3)
        if self.received_ago is not None:
            found["received_at"] = round(t - self.received_ago, 3)
        return found


class TrafficReader:
    """Finds the struct in messages. Where it stands is the same in all messages of one length, so it is remembered."""

    def __init__(self) -> None:
        self._at: dict[int, tuple[int, bytes]] = {}
        """Length of a message -> where the attribute stands, 0 for nowhere, and its head."""

    def moved(self, buffer: bytes, offset: int, length: int) -> bytes:
        """The part of a message whose change is an event; NOTHING where it has no such struct."""
        at, head = self._at.get(length, (0, b""))
        start = offset + at
        if not head or (at and buffer[start : start + 4] != head):
            at = _find(buffer, offset, length)
            start = offset + at
            self._at[length] = at, buffer[start : start + 4]
        if not at:
            return NOTHING
        return buffer[start + _BYTES : start + _BYTES + 16] + buffer[start + _SEGMENTS : start + _SEGMENTS + 8]

    def read(self, buffer: bytes, offset: int, length: int) -> Traffic | None:
        """The whole of it, for a message of which moved() was asked; None where it has none."""
        at, _ = self._at.get(length, (0, b""))
        if not at:
            return None
        sent_ago, received_ago, acked, received, unsent, came, went, sent, resent = _READING.unpack_from(
            buffer, offset + at + _ATTRIBUTE.size
        )
        return Traffic(
            acked,
            received,
            sent,
            unsent,
            sent_ago / 1000 if went else None,
            received_ago / 1000 if came else None,
            resent,
        )


def _find(buffer: bytes, offset: int, length: int) -> int:
    """Where the attribute stands in the message; 0: nowhere, or shorter than is needed."""
    at = 16 + _FIRST
    while at + _ATTRIBUTE.size <= length:
        size, kind = _ATTRIBUTE.unpack_from(buffer, offset + at)
        if kind == _INFO:
            return at if size >= _LEAST else 0
        at += max(4, (size + 3) & ~3)
    return 0
