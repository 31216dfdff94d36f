"""Captures and recordings made by hand, of which the truth is known: what the tests of the model are held against."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from tests.truth.model import Truth, build
from tests.truth.model_samples import Row, Samples, Stretch
from tests.truth.model_wire import ACK, FIN, RST, SYN, Segment, read_capture

ZERO = 1_800_000_000
CLIENT, SERVER = "198.18.0.2:40000", "198.18.0.3:8080"
NODES = {"client": "198.18.0.2", "server": "198.18.0.3"}
CLIENT_KEY, SERVER_KEY = ("client", CLIENT, SERVER), ("server", SERVER, CLIENT)


@dataclass
class Talk:
    """Two ends that talk: writes segments with right numbers. Whether one arrives is said by what follows."""

    isns: tuple[int, int] = (1000, 5_000_000)
    network: str = "lab"
    addresses: tuple[str, str] = (CLIENT, SERVER)
    senders: tuple[str, str] = ("client", "server")
    segments: list[Segment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.next = [self.isns[0], self.isns[1]]
        self.got = [0, 0]

    def open(self, t: float) -> Talk:
        """The handshake, of which all arrives."""
        return self.say(0, t, SYN).say(1, t + 0.0001, SYN | ACK).ack(0, t + 0.0002)

    def say(self, who: int, t: float, flags: int, size: int = 0, *, arrives: bool = True, again: bool = False) -> Talk:
        """A segment of end 0 (client) or 1; `again`: with the number of the last one that it sent."""
        length = size + bool(flags & SYN) + bool(flags & FIN)
        seq = self.next[who] - length if again else self.next[who]
        ack = self.got[who] if flags & ACK else 0
        source, target = self.addresses[who], self.addresses[1 - who]
        self.segments.append(
            Segment(t, self.network, self.senders[who], source, target, flags, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, size)
        )
        if not again:
            self.next[who] += length
        if arrives and (flags & SYN or seq == self.got[1 - who]):
            self.got[1 - who] = seq + length
        return self

    def fin(self, who: int, t: float, **kinds: Any) -> Talk:
        return self.say(who, t, FIN | ACK, **kinds)

    def ack(self, who: int, t: float) -> Talk:
        return self.say(who, t, ACK)


def pcapng(segments: Sequence[Segment], nodes: Mapping[str, str] = NODES) -> bytes:
    """A file as docs/capture.md describes it, by the specification of pcapng."""
    names = list(nodes)
    comment = f"t = 0 of events.jsonl is {ZERO}.000000000 s".encode()
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(1, comment) + _option(0, b""))]
    for name in names:
        blocks.append(_block(1, struct.pack("<HHI", 1, 0, 262144) + _option(2, f"{name}:eth0".encode())))
    records = b"".join(_option(1, IPv4Address(a).packed + name.encode() + b"\0") for name, a in nodes.items())
    blocks.append(_block(4, records + _option(0, b"")))
    for segment in segments:
        frame = _frame(segment)
        time = ZERO * 10**9 + round(segment.t * 1e9)
        head = struct.pack("<5I", names.index(segment.sender), time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
        blocks.append(_block(6, head + frame + bytes(-len(frame) % 4)))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _frame(segment: Segment) -> bytes:
    (source, source_port), (target, target_port) = (a.split(":") for a in (segment.source, segment.target))
    tcp = struct.pack(
        "!HHIIBBHHH", int(source_port), int(target_port), segment.seq, segment.ack, 0x50, segment.flags, 9, 0, 0
    )
    total = 40 + segment.size
    ip = struct.pack("!BBHHHBBH", 0x45, 0, total, 1, 0x4000, 64, 6, 0)
    return (
        bytes(12)
        + b"\x08\x00"
        + ip
        + IPv4Address(source).packed
        + IPv4Address(target).packed
        + tcp
        + bytes(segment.size)
    )


@dataclass
class Recording:
    """What the model reads of a run, made by hand; `texts` moment -> node -> rows, `kinds` of the nodes."""

    talks: Sequence[Talk]
    until: float = 10.0
    moments: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Sequence[Row]]] = field(default_factory=dict)
    stretches: Sequence[Stretch] = ()
    steps: Sequence[Mapping[str, Any]] = ()
    networks: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"lab": NODES})
    kinds: Mapping[str, str] = field(default_factory=dict)

    def truth(self) -> Truth:
        captures = []
        for network, nodes in self.networks.items():
            segments = [s for talk in self.talks for s in talk.segments if s.network == network]
            captures.append(read_capture(network, pcapng(sorted(segments, key=lambda s: s.t), nodes)))
        names = {name: None for nodes in self.networks.values() for name in nodes}
        samples = Samples(
            begun={"nodes": [{"name": name, "kind": self.kinds.get(name, "host")} for name in names]},
            end=self.until,
            moments={"start": 0.0, **self.moments, "end": self.until},
            stretches=list(self.stretches),
        )
        for moment, printed in self.texts.items():
            samples.texts |= {(moment, node): list(rows) for node, rows in printed.items()}
        topology: dict[str, Any] = {"services": {name: {} for name in names}}
        return build(captures, samples, topology, {"steps": list(self.steps)})


def report(truth: Truth, **changed: Any) -> dict[str, Any]:
    """A report that says what is true, as far as the model knows it: the first of the states that are possible."""
    connections = [_told(truth, number) for number in range(len(truth.connections))]
    return {
        "duration": truth.samples.end,
        "connections": connections,
        "moments": [],
        "unseen": [],
        "notes": [],
        **changed,
    }


def _told(truth: Truth, number: int) -> dict[str, Any]:
    connection = truth.connections[number]
    first = truth.first_closing(connection)
    ends: dict[str, Any] = {}
    for side, key in (("client", connection.client), ("server", connection.server)):
        if key is None:
            ends[side] = None
            continue
        ends[side] = {"node": key[0], "local": key[1], "peer": key[2], **_states(truth, number, key)}
    return {
        "opened": [connection.began, connection.began],
        "closing": {
            "at": [first[0].t, first[0].t] if first else None,
            "by": first[0].sender if first else None,
            "kind": ("rst" if first[0].has(RST) else "fin") if first else "open",
        },
        "how": "in words",
        "client_node": connection.client[0] if connection.client else None,
        **ends,
    }


def _states(truth: Truth, number: int, key: tuple[str, str, str]) -> dict[str, Any]:
    known = truth.connections[number].known[key]
    stays: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    before = "CLOSED"
    for index, (t, possible) in enumerate(zip(known.times, known.sets, strict=True)):
        until = known.times[index + 1] if index + 1 < len(known.times) else truth.samples.end
        state = before if before in possible else min(possible)
        if state != before:
            gaps.append({"after": t, "before": t, "states": sorted({before, state})})
        if state != "CLOSED":
            stays.append({"state": state, "first": t, "last": until})
        before = state
    return {"stays": stays, "gaps": gaps}
