"""The segments that open and close connections, as they enter the network: those with SYN, FIN or RST.

The trace tells what a kernel decided, and when. Whether and when a segment then left the node is another matter: a FIN
waits behind data that the peer has no room for, a packet filter answers in somebody's name, a NAT changes addresses.
So these few segments are taken where the fabric gets them from their sender, at the far end of its leg. A socket filter
picks them in the kernel; while the run goes on they are only copied, as with the trace, and decoded when it is over.

Only IPv4, no fragments. What a node says to itself is on no network, and not here.
"""

from __future__ import annotations

import mmap
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.observe.capture.packetring import (
    PACKET_IGNORE_OUTGOING,
    PACKET_RX_RING,
    PACKET_STATISTICS,
    PACKET_VERSION,
    REFUSE,
    SOL_PACKET,
    Instruction,
    bind_to_all,
    from_interfaces,
    set_filter,
)
from orchestrator.recording.events import Event

_FRAME = 256
"""Bytes of the ring for a segment: header and address of 66, and what is kept of it."""

_FRAMES = 16384
"""4 MiB: what may come between two ticks."""

_BLOCK = 1 << 16

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

_TPACKET_V2 = 1
_OWNED_BY_USER = 1
_HEAD = struct.Struct("=III H2x II 12x i")
"""Of a frame in the ring: status, length, kept, offset of the data, s, ns; then sockaddr_ll, of it the interface."""

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
        self._ring = _Ring(from_interfaces(self._nodes, _TCP))
        self._taken: list[tuple[int, bytes]] = []

    def take(self) -> bool:
        """Move what the kernel took into memory, undecoded. Returns whether there was any."""
        taken = self._ring.take()
        if taken:
            ahead = wall_clock_ahead()  # asked each time: somebody may set the clock
            self._taken += ((ahead, frames) for frames in taken)
        return bool(taken)

    def finish(self) -> list[Event]:
        """Take no more; all lines in order of time, `segments` last."""
        self._ring.refuse()
        self.take()
        lost = self._ring.dropped()
        self.close()
        events = sorted(self._decoded(), key=lambda event: float(event["t"]))
        self._taken = []
        last = events[-1]["t"] if events else 0.0
        return [*events, {"t": last, "ev": "segments", "count": len(events), "lost": lost}]

    def close(self) -> None:
        """Safe to call twice."""
        self._ring.close()

    def _decoded(self) -> Iterator[Event]:
        for ahead, frames in self._taken:
            for start in range(0, len(frames), _FRAME):
                _, _, kept, mac, seconds, ns, ifindex = _HEAD.unpack_from(frames, start)
                t = (seconds * 1_000_000_000 + ns - ahead - self._zero_ns) / 1e9
                yield _line(self._nodes[ifindex], t, frames[start + mac : start + mac + kept])


class _Ring:
    """Shared memory of small frames: AF_PACKET with a TPACKET_V2 ring, packet(7), linux/if_packet.h.

    Not version 3, as for captures: there the kernel hands over blocks by a timer of its own, which would wake a virtual
    machine that skips idle time, and keep the last segments back.
    """

    def __init__(self, program: Sequence[Instruction]) -> None:
        self._next = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V2)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            request = struct.pack("=4I", _BLOCK, _FRAMES * _FRAME // _BLOCK, _FRAME, _FRAMES)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            set_filter(self._socket, program)
            self._map = mmap.mmap(self._socket.fileno(), _FRAMES * _FRAME)
            bind_to_all(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self._statuses = memoryview(self._map).cast("I")[:: _FRAME // 4]
        """The first word of each frame: whose it is."""

    def take(self) -> list[bytes]:
        """Copies of the frames that are ready, as one or two runs of frames, and room for new ones."""
        found = []
        while count := self._ready():
            first, last = self._next, self._next + count
            found.append(self._map[first * _FRAME : last * _FRAME])
            self._statuses[first:last] = memoryview(bytes(4 * count)).cast("I")
            self._next = last % _FRAMES
        return found

    def _ready(self) -> int:
        """How many frames are ready before the end of the memory, from the next one on."""
        statuses, end = self._statuses, self._next
        while end < _FRAMES and statuses[end] & _OWNED_BY_USER:
            end += 1
        return end - self._next

    def refuse(self) -> None:
        set_filter(self._socket, REFUSE)

    def dropped(self) -> int:
        """Segments that found the ring full; asked once, at the end, because the kernel forgets them then."""
        return int(struct.unpack("=II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1])

    def close(self) -> None:
        self._socket.close()


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
        "flags": letters(flags),
        "seq": seq,
        "ack": ack,
        "len": max(0, whole + _ETHERNET - start - 4 * (data[start + 12] >> 4)),
    }


def letters(flags: int) -> str:
    """The flags of a TCP header as tcpdump writes them: `S`, `F.`, `P.`"""
    return "".join(letter for bit, letter in _LETTERS if flags & bit)


def wall_clock_ahead() -> int:
    """How far the wall clock, with which the kernel stamps frames, is ahead of the monotonic one, ns."""
    looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, wall, after = min(looks, key=lambda look: look[2] - look[0])
    return wall - (before + after) // 2
