"""The segments that open and close connections, as they enter the network: those with SYN, FIN or RST.

The trace tells what a kernel decided, and when. Whether and when a segment then left the node is another matter: a FIN
waits behind data that the peer has no room for, a packet filter answers in somebody's name, a NAT changes addresses.
So these few segments are taken where the fabric gets them from their sender, at the far end of its leg. A socket filter
picks them in the kernel; while the run goes on only whole blocks are copied, as with the trace, and they are decoded
when it is over.

Only IPv4, no fragments. What a node says to itself is on no network, and not here.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Mapping

from orchestrator.observe.capture.packetring import Instruction, PacketRing, frames_of, from_interfaces
from orchestrator.recording.events import Event

_BLOCKS = 16
"""4 MiB: some 18 000 segments between two ticks."""

_SNAP = 14 + 60 + 60
"""Bytes: the headers of Ethernet, IPv4 and TCP at their longest."""

_ETHERNET = 14
_FLAGS = 13
"""Offset of the flags in a TCP header."""

_SYN_FIN_RST = 0x07

_TCP: tuple[Instruction, ...] = (
    (0x28, 0, 0, 12),  # ldh [12]: the protocol of the frame
    (0x15, 0, 8, 0x0800),  # IPv4
    (0x30, 0, 0, _ETHERNET + 9),  # ldb: the protocol of the packet
    (0x15, 0, 6, 6),  # TCP
    (0x28, 0, 0, _ETHERNET + 6),  # ldh: flags and fragment offset
    (0x45, 4, 0, 0x1FFF),  # a later fragment has no TCP header
    (0xB1, 0, 0, _ETHERNET),  # ldx 4 * ([14] & 0xf): the length of the IPv4 header
    (0x50, 0, 0, _ETHERNET + _FLAGS),  # ldb [x + 27]
    (0x45, 0, 1, _SYN_FIN_RST),  # jset
    (0x06, 0, 0, _SNAP),  # ret
    (0x06, 0, 0, 0),  # ret nothing
)

_LETTERS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x10, "."))
"""As tcpdump writes flags."""

_ADDRESSES = struct.Struct("!4s4s")
_PORTS = struct.Struct("!HHII")


class Segments:
    """Takes the segments that enter by some ports of this network namespace, from now on.

    `ports`: interface of the namespace -> the node whose leg's far end it is. `zero`: what `time.monotonic()` was at
    t = 0, s. Raises OSError when the kernel allows no packet socket (CAP_NET_RAW).
    """

    def __init__(self, ports: Mapping[str, str], zero: float) -> None:
        self._nodes = {socket.if_nametoindex(port): node for port, node in ports.items()}
        self._zero_ns = round(zero * 1e9)
        self._ring = PacketRing(from_interfaces(self._nodes, _TCP), blocks=_BLOCKS)
        self._ring.attach()
        self._blocks: list[tuple[int, bytes]] = []

    def fileno(self) -> int:
        return self._ring.fileno()

    def take(self) -> bool:
        """Move what the kernel handed over into memory, undecoded. Returns whether there was any."""
        blocks = list(self._ring.read_raw())
        if blocks:
            ahead = _wall_clock_ahead()  # asked each time: somebody may set the clock
            self._blocks += ((ahead, block) for block in blocks)
        return bool(blocks)

    def finish(self, patience: float = 1.0) -> list[Event]:
        """Take no more; all lines in order of time, `segments` last. Gives the last ones `patience` seconds to come."""
        self._ring.refuse()
        deadline = time.monotonic() + patience
        while not self._ring.all_read() and time.monotonic() < deadline:
            self._ring.await_block()
            self.take()
        lost = self._ring.dropped() + self._ring.unread()
        self.close()
        events = sorted(self._decoded(), key=lambda event: float(event["t"]))
        self._blocks = []
        last = events[-1]["t"] if events else 0.0
        return [*events, {"t": last, "ev": "segments", "count": len(events), "lost": lost}]

    def close(self) -> None:
        self._ring.close()

    def _decoded(self) -> Iterator[Event]:
        for ahead, block in self._blocks:
            for frame in frames_of(block):
                yield _line(self._nodes[frame.ifindex], (frame.time_ns - ahead - self._zero_ns) / 1e9, frame.data)


def _line(node: str, t: float, data: bytes) -> Event:
    """The line of one frame, of which the filter has made sure that it is TCP."""
    source, destination = (socket.inet_ntoa(raw) for raw in _ADDRESSES.unpack_from(data, _ETHERNET + 12))
    start = _ETHERNET + 4 * (data[_ETHERNET] & 0x0F)
    local, peer, seq, ack = _PORTS.unpack_from(data, start)
    flags = data[start + _FLAGS]
    whole = int.from_bytes(data[_ETHERNET + 2 : _ETHERNET + 4], "big")
    return {
        "t": t,
        "ev": "segment",
        "node": node,
        "local": f"{source}:{local}",
        "peer": f"{destination}:{peer}",
        "flags": "".join(letter for bit, letter in _LETTERS if flags & bit),
        "seq": seq,
        "ack": ack,
        "len": max(0, whole + _ETHERNET - start - 4 * (data[start + 12] >> 4)),
    }


def _wall_clock_ahead() -> int:
    """How far the wall clock, with which the kernel stamps frames, is ahead of the monotonic one, ns."""
    looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, wall, after = min(looks, key=lambda look: look[2] - look[0])
    return wall - (before + after) // 2
