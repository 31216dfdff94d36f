"""Packets that a fault took on their way (fabric/faults/packets.py): the kernel reports each of them, over netlink.

Taken as segments are: only copied while the run goes on, and decoded when it is over. The kernel sends each at once, so
nothing waits for a timer of its own. Source: linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from orchestrator.bounds import TAKEN_PACKETS
from orchestrator.observe.sources.segments import letters, wall_clock_ahead
from orchestrator.recording.events import Event
from orchestrator.system.netlink import HEADER, attribute, attributes

_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_CONFIG, _PACKET = 4 << 8 | 1, 4 << 8 | 0
"""NFNL_SUBSYS_ULOG with NFULNL_MSG_CONFIG and NFULNL_MSG_PACKET."""
_REQUEST, _ACK, _ERROR = 0x1, 0x4, 2
_CFG_CMD, _CFG_MODE, _CFG_QTHRESH, _CFG_FLAGS = 1, 2, 5, 6
_BIND, _COPY_PACKET, _NUMBERED = 1, 2, 1
_TIMESTAMP, _INDEV, _PHYSINDEV, _PAYLOAD, _PREFIX, _SEQ = 3, 4, 6, 9, 10, 12

_ROOM = 1 << 23
"""Bytes that may wait in the kernel from one tick to the next: several thousand packets."""
_BUFFER = 1 << 16

_BODY = HEADER.size + 4

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


class Rule(NamedTuple):
    """Of whom a packet was taken, by its number in the reports: its name, and what it does."""

    name: str
    verdict: str


class Filtered:
    """Takes what the kernel reports to a group, in the network namespace in which it is made.

    `ports`: interface of the namespace -> the node whose leg's far end it is. `zero`: what `time.monotonic()` was at
    t = 0, s. `rules`: those of which packets may come; more can be added. Raises OSError where the kernel has no such
    thing.
    """

    def __init__(self, group: int, ports: Mapping[str, str], zero: float, rules: Mapping[int, Rule]) -> None:
        self._nodes = {socket.if_nametoindex(port): node for port, node in ports.items()}
        self._zero_ns = round(zero * 1e9)
        self._rules = rules
        self._taken: list[tuple[int, bytes]] = []
        self._lost = False
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        try:
            self._netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        except PermissionError:  # the root of a user namespace gets what everybody gets
            self._netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        try:
            # On older kernels, as 6.1, packets bear a time, and so do reports of them, only while a socket wants that.
            self._netlink.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._netlink.bind((0, 0))
            self._bind(group)
        except BaseException:
            self._netlink.close()
            raise

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._netlink.fileno()

    def _bind(self, group: int) -> None:
        body = struct.pack("!BBH", socket.AF_UNSPEC, 0, group)
        body += attribute(_CFG_CMD, bytes([_BIND]))
        body += attribute(_CFG_MODE, struct.pack("!IBx", 0xFFFF, _COPY_PACKET))
        body += attribute(_CFG_QTHRESH, struct.pack("!I", 1))
        body += attribute(_CFG_FLAGS, struct.pack("!H", _NUMBERED))
        self._netlink.send(HEADER.pack(HEADER.size + len(body), _CONFIG, _REQUEST | _ACK, 1, 0) + body)
        answer = self._netlink.recv(_BUFFER)
        code = -struct.unpack_from("=i", answer, HEADER.size)[0]
        if code:
            raise OSError(code, f"packets that a rule takes cannot be reported: {os.strerror(code)}")

    def take(self) -> bool:
        """Move what the kernel reported into memory, undecoded. Returns whether there was any."""
        ahead: int | None = None
        while True:
            try:
                data = self._netlink.recv(_BUFFER, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return ahead is not None
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost = True
                continue
            ahead = wall_clock_ahead() if ahead is None else ahead
            if len(self._taken) < TAKEN_PACKETS.limit:
                self._taken.append((ahead, data))
            else:
                self._lost = True

    def finish(self) -> list[Event]:
        """All lines in order of time, `filter` last."""
        self.take()
        self._netlink.close()
        seen: set[int] = set()
        events = sorted(
            (event for ahead, data in self._taken for event in self._decoded(ahead, data, seen)),
            key=lambda event: float(event["t"]),
        )
        self._taken = []
        last = events[-1]["t"] if events else 0.0
        lost = self._lost or len(seen) < max(seen, default=-1) + 1
        return [*events, {"t": last, "ev": "filter", "count": len(events), "complete": not lost}]

    def close(self) -> None:
        """Safe to call twice."""
        self._netlink.close()

    def _decoded(self, ahead: int, data: bytes, seen: set[int]) -> Iterator[Event]:
        at = 0
        while at + _BODY <= len(data):
            length, kind, *_ = HEADER.unpack_from(data, at)
            if kind == _PACKET:
                found = attributes(data[at + _BODY : at + length])
                seen.add(int.from_bytes(found.get(_SEQ, b""), "big"))
                event = self._line(ahead, found)
                if event is None:
                    self._lost = True
                else:
                    yield event
            at += max((length + 3) & ~3, HEADER.size)

    def _line(self, ahead: int, found: Mapping[int, bytes]) -> Event | None:
        rule = self._rules.get(int(found[_PREFIX].rstrip(b"\0") or b"0"))
        if rule is None or _TIMESTAMP not in found:
            return None
        seconds, micro = struct.unpack("!QQ", found[_TIMESTAMP])
        t = (seconds * 1_000_000_000 + micro * 1000 - ahead - self._zero_ns) / 1e9
        port = found.get(_PHYSINDEV, found[_INDEV])  # in a bridge the one is its port, the other the bridge
        node = self._nodes[int.from_bytes(port, "big")]
        event: Event = {"t": t, "ev": "filtered", "node": node, "step": rule.name, "verdict": rule.verdict}
        return event | packet(found[_PAYLOAD])


def packet(data: bytes) -> Event:
    """The fields of an IPv4 packet, of which the first bytes are there: `protocol`, `local`, `peer`; of TCP `flags`,
    `seq`, `ack`; `len`: bytes behind the headers that are named."""
    start = 4 * (data[0] & 0x0F)
    whole = int.from_bytes(data[2:4], "big")
    protocol = _PROTOCOLS.get(data[9], str(data[9]))
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    ports = protocol in ("tcp", "udp") and len(data) >= start + 4 and not int.from_bytes(data[6:8], "big") & 0x1FFF
    if ports:
        local, peer = struct.unpack_from("!HH", data, start)
        source, destination = f"{source}:{local}", f"{destination}:{peer}"
    event: Event = {"protocol": protocol, "local": source, "peer": destination, "len": max(0, whole - start)}
    if ports and protocol == "tcp" and len(data) >= start + 14:
        seq, ack = struct.unpack_from("!II", data, start + 4)
        size = max(0, whole - start - 4 * (data[start + 12] >> 4))
        event |= {"flags": letters(data[start + 13]), "seq": seq, "ack": ack, "len": size}
    return event
