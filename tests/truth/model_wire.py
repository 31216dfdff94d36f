"""Captures as the model reads them: pcapng, Ethernet, IPv4, TCP, by the specifications. It imports nothing of simctl.

A frame is in a capture once, taken where its sender's interface enters the network: what is there was sent, and by
whom; whether it arrived is not said.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

FIN, SYN, RST, ACK = 1, 2, 4, 16

_SECTION, _INTERFACE, _NAMES, _PACKET = 0x0A0D0D0A, 1, 4, 6


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment on one network. `t` is in seconds of the run; `sender` the node whose interface it left."""

    t: float
    network: str
    sender: str
    source: str
    target: str
    flags: int
    seq: int
    ack: int
    size: int
    """Bytes of payload."""

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)

    @property
    def end(self) -> int:
        """The sequence number behind it."""
        return (self.seq + self.size + self.has(SYN) + self.has(FIN)) & 0xFFFFFFFF

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.source, self.target))

    @property
    def closing(self) -> bool:
        return self.has(FIN) or self.has(RST)

    def __str__(self) -> str:
        flags = "+".join(
            name for bit, name in ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK")) if self.has(bit)
        )
        return (
            f"{self.t:.6f} {self.sender}: {self.source} -> {self.target} "
            f"{flags} seq {self.seq} ack {self.ack} len {self.size}"
        )


@dataclass(slots=True)
class Capture:
    """One network. `names` is address -> node."""

    network: str
    zero: float = 0.0
    names: dict[str, str] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    """Whose interfaces are in this network."""
    segments: list[Segment] = field(default_factory=list)


def after(a: int, b: int) -> int:
    """How far sequence number `a` lies behind `b`, negative before it."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def read_captures(folder: Path) -> list[Capture]:
    """Every capture of a run's folder."""
    return [read_capture(path.stem, path.read_bytes()) for path in sorted(folder.glob("*.pcapng"))]


def read_capture(network: str, content: bytes) -> Capture:
    """The TCP of one file. A last block that is cut off ends it, as it would end any reader."""
    found = Capture(network)
    zero_ns = 0
    interfaces: list[str] = []
    for kind, body in _blocks(content):
        if kind == _SECTION:
            text = b"".join(value for _, value in _options(body[16:])).decode(errors="replace")
            moment = re.search(r"t = 0 of events.jsonl is (\d+)\.(\d{9}) s", text)
            if moment is None:
                raise ValueError(f"{network}: the capture does not say when t was 0")
            zero_ns = int(moment[1]) * 10**9 + int(moment[2])
        elif kind == _INTERFACE:
            name = next((value.decode() for code, value in _options(body[8:]) if code == 2), "?:?")
            interfaces.append(name.rpartition(":")[0])
            found.nodes.add(interfaces[-1])
        elif kind == _NAMES:
            for _, value in _options(body):
                found.names[str(IPv4Address(value[:4]))] = value[4:].split(b"\0")[0].decode()
        elif kind == _PACKET:
            number, high, low, kept = struct.unpack_from("<4I", body)
            t = ((high << 32 | low) - zero_ns) / 1e9
            segment = _segment(network, interfaces[number], t, body[20 : 20 + kept])
            if segment is not None:
                found.segments.append(segment)
    found.zero = zero_ns / 1e9
    found.segments.sort(key=lambda segment: segment.t)
    return found


def _blocks(content: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 12 <= len(content):
        kind, total = struct.unpack_from("<II", content, offset)
        if offset + total > len(content) or total < 12:
            return
        yield kind, content[offset + 8 : offset + total - 4]
        offset += total


def _options(raw: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(raw):
        code, length = struct.unpack_from("<HH", raw, offset)
        if code == 0:
            return
        yield code, raw[offset + 4 : offset + 4 + length]
        offset += 4 + length + -length % 4


def _segment(network: str, sender: str, t: float, frame: bytes) -> Segment | None:
    """None for what is no TCP over IPv4, and for fragments."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return None
    if int.from_bytes(frame[20:22], "big") & 0x1FFF:
        return None
    total = int.from_bytes(frame[16:18], "big") or len(frame) - 14  # 0: longer than the field can say
    tcp = 14 + (frame[14] & 15) * 4
    source_port, target_port, seq, ack = struct.unpack_from("!HHII", frame, tcp)
    return Segment(
        t=t,
        network=network,
        sender=sender,
        source=f"{IPv4Address(frame[26:30])}:{source_port}",
        target=f"{IPv4Address(frame[30:34])}:{target_port}",
        flags=frame[tcp + 13],
        seq=seq,
        ack=ack,
        size=14 + total - tcp - (frame[tcp + 12] >> 4) * 4,
    )
