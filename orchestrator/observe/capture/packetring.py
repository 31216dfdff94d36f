"""Frames as they enter some interfaces, with the kernel's times: AF_PACKET with a TPACKET_V3 ring, packet(7).

The kernel writes frames into blocks of shared memory and hands over a block when it is full or `HANDOVER` has passed,
so reading costs no system call per frame. Layout: include/uapi/linux/if_packet.h and Documentation/networking/
packet_mmap.rst in the kernel's sources.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

HANDOVER = 0.04
"""Seconds after which the kernel hands over a block that is not full."""

BLOCK = 1 << 18
"""Bytes. A block holds whole frames, and a frame of TCP segmentation offload is 64 KiB."""

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 5, 6, 10, 23
_TPACKET_V3 = 2
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26

_BLOCK_HEAD = struct.Struct("=8xIII")  # status, frames, offset of the first
_FRAME = struct.Struct("=6IH26xi")  # next, s, ns, kept, length, status, offset of the data, then sockaddr_ll's ifindex
_STATUS = struct.Struct("=I")
_STATUS_AT = 8
_OWNED_BY_KERNEL, _OWNED_BY_USER = 0, 1

_libc = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int]
"""Of a socket filter (BPF): code, jumps if true and if false, operand. linux/filter.h"""

REFUSE: tuple[Instruction, ...] = ((0x06, 0, 0, 0),)  # ret 0
_LOAD_IFINDEX: Instruction = (0x20, 0, 0, 0xFFFFF008)  # ld [SKF_AD_OFF + SKF_AD_IFINDEX]


class Frame(NamedTuple):  # a frozen dataclass takes four times as long to make, and there are many
    """What was kept of a frame, the length that it had, when it entered (ns since the epoch), and where."""

    ifindex: int
    time_ns: int
    data: bytes
    length: int


class PacketRing:
    """Frames that enter interfaces of the current network namespace, from now on, those that `program` keeps.

    Only what comes in: a frame that a bridge passes on leaves by another interface, and would be seen there again.
    Raises OSError (EPERM without CAP_NET_RAW over the namespace; ENOMEM).
    """

    def __init__(self, program: Sequence[Instruction], *, blocks: int) -> None:
        self._blocks = blocks
        self._next = 0
        self._map: mmap.mmap | None = None
        self._taken = self._dropped = self._read = 0
        # Protocol 0 hears nothing, so no frame comes in before all is set.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, _TPACKET_V3)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, _ring_request(blocks))
            set_filter(self._socket, program)
            bind_to_all(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def attach(self) -> None:
        """Map the ring into this process, which will read it."""
        self._map = mmap.mmap(self._socket.fileno(), self._blocks * BLOCK)

    def read(self) -> Iterator[list[Frame]]:
        """Every block that is ready, in order."""
        ring = self._map
        assert ring is not None
        while True:
            start = self._next * BLOCK
            status, count, first = _BLOCK_HEAD.unpack_from(ring, start)
            if not status & _OWNED_BY_USER:
                return
            frames = list(_frames(ring, start + first, count))
            self._read += count
            _STATUS.pack_into(ring, start + _STATUS_AT, _OWNED_BY_KERNEL)
            self._next = (self._next + 1) % self._blocks
            yield frames

    def refuse(self) -> None:
        """Take no further frame. What is in the ring stays readable."""
        set_filter(self._socket, REFUSE)

    def all_read(self) -> bool:
        """Whether `read` has given every frame that the kernel took."""
        self._count()
        return self._taken == self._read

    def dropped(self) -> int:
        """Frames that found the ring full, since the beginning."""
        self._count()
        return self._dropped

    def close(self) -> None:
        self._socket.close()

    def _count(self) -> None:
        """The kernel sets its counters to zero when they are read; its first includes its second."""
        raw = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
        packets, drops, _ = struct.unpack("=III", raw)
        self._taken += packets - drops
        self._dropped += drops


def set_filter(packet_socket: socket.socket, program: Sequence[Instruction]) -> None:
    """From now on the socket takes only what the program keeps, and of it as many bytes as the program returns."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    packet_socket.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )


def only_from(ifindexes: Iterable[int], snap: int) -> list[Instruction]:
    """A socket filter that keeps `snap` bytes of what enters these interfaces, and nothing of other frames."""
    return from_interfaces(ifindexes, [(0x06, 0, 0, snap)])  # ret snap


def from_interfaces(ifindexes: Iterable[int], program: Sequence[Instruction]) -> list[Instruction]:
    """A socket filter that asks `program` about what enters these interfaces, and keeps nothing of other frames.

    Three instructions for each run of successive numbers: the legs of a network are mostly one run.
    """
    tests: list[Instruction] = [_LOAD_IFINDEX]
    runs = list(_runs(sorted(ifindexes)))
    for position, (first, last) in enumerate(runs):
        tests += [
            (0x35, 0, 2, first),  # jge first, else over the next two
            (0x25, 1, 0, last),  # jgt last: over the next one
            (0x05, 0, 0, 3 * (len(runs) - position - 1) + 1),  # ja: over the runs that follow, and over the refusal
        ]
    return [*tests, *REFUSE, *program]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] > number + 1:
            yield numbers[start], number
            start = index + 1


def bind_to_all(packet_socket: socket.socket) -> None:
    """Hear every protocol on every interface: bind(2) with interface 0, which Python 3.11 cannot write."""
    address = struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0)
    if _libc.bind(packet_socket.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ring_request(blocks: int) -> bytes:
    frame = 2048  # of no meaning in version 3, but the numbers must agree
    return struct.pack("=7I", BLOCK, blocks, frame, BLOCK // frame * blocks, int(HANDOVER * 1000), 0, 0)


def _frames(ring: mmap.mmap, offset: int, count: int) -> Iterator[Frame]:
    for _ in range(count):
        following, seconds, nanoseconds, kept, length, _status, data, ifindex = _FRAME.unpack_from(ring, offset)
        begin = offset + data
        yield Frame(ifindex, seconds * 1_000_000_000 + nanoseconds, ring[begin : begin + kept], length)
        offset += following
