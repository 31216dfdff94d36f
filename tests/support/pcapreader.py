"""Reads pcapng and the TCP in it, independently of what writes it: by the specification, with a few lines of struct."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(frozen=True)
class Packet:
    interface: int
    time_ns: int
    data: bytes
    length: int


@dataclass
class Contents:
    """Options are {code: value}; statistics by number of the interface."""

    section: dict[int, bytes] = field(default_factory=dict)
    interfaces: list[dict[int, bytes]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    packets: list[Packet] = field(default_factory=list)
    statistics: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def zero(self) -> float:
        """When t was 0, s since the epoch."""
        found = re.search(r"t = 0 of events.jsonl is (\d+\.\d{9}) s", self.section[1].decode())
        assert found, self.section
        return float(found[1])

    def interface_names(self) -> list[str]:
        return [options[2].decode() for options in self.interfaces]

    def dropped(self) -> int:
        return sum(struct.unpack("<Q", options[7])[0] for options in self.statistics.values())


def read(content: bytes) -> Contents:
    """Whole files only: what does not add up is an AssertionError."""
    found = Contents()
    offset = 0
    while offset < len(content):
        kind, total = struct.unpack_from("<II", content, offset)
        block = content[offset : offset + total]
        assert total % 4 == 0
        assert len(block) == total, "cut off"
        assert struct.unpack_from("<I", block, total - 4)[0] == total
        assert (kind == 0x0A0D0D0A) == (offset == 0), "one section, at the beginning"
        _take(found, kind, block[8:-4])
        offset += total
    return found


def _take(found: Contents, kind: int, body: bytes) -> None:
    match kind:
        case 0x0A0D0D0A:
            assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
            found.section = _options(body[16:])
        case 1:
            link, reserved, snap = struct.unpack_from("<HHI", body)
            assert (link, reserved, snap) == (1, 0, 262144)
            found.interfaces.append(_options(body[8:]))
        case 4:
            records = _records(body)
            assert set(records) <= {1}
            for value in (value for values in records.values() for value in values):
                assert value.endswith(b"\0")
                found.names[str(IPv4Address(value[:4]))] = value[4:-1].decode()
        case 5:
            (interface,) = struct.unpack_from("<I", body)
            found.statistics[interface] = _options(body[12:])
        case 6:
            interface, high, low, kept, length = struct.unpack_from("<5I", body)
            assert interface < len(found.interfaces)
            assert len(body) == 20 + kept + -kept % 4
            assert not any(body[20 + kept :])
            found.packets.append(Packet(interface, high << 32 | low, body[20 : 20 + kept], length))
        case _:
            pytest.fail(f"block of the kind {kind}")


def _options(raw: bytes) -> dict[int, bytes]:
    options = _records(raw) if raw else {}
    assert all(len(values) == 1 for values in options.values())
    return {code: values[0] for code, values in options.items()}


def _records(raw: bytes) -> dict[int, list[bytes]]:
    """Code -> values, up to the end mark."""
    records: dict[int, list[bytes]] = {}
    while True:
        code, length = struct.unpack_from("<HH", raw)
        if code == 0:
            assert (length, len(raw)) == (0, 4), "nothing comes after the end mark"
            return records
        records.setdefault(code, []).append(raw[4 : 4 + length])
        raw = raw[4 + length + -length % 4 :]


@dataclass(frozen=True)
class Segment:
    """A TCP segment. Addresses are as the recording writes them, `t` is in seconds of the run, `sender` a node."""

    sender: str
    t: float
    local: str
    peer: str
    flags: int
    seq: int
    ip_id: int
    payload: int

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)


def segments(contents: Contents) -> list[Segment]:
    """Every TCP segment, in the order of the file."""
    zero_ns = round(contents.zero() * 1e9)
    names = contents.interface_names()
    found: list[Segment] = []
    for packet in contents.packets:
        assert len(packet.data) == packet.length
        if packet.data[12:14] != b"\x08\x00" or packet.data[23] != 6:
            continue
        total, ip_id = struct.unpack_from("!HH", packet.data, 16)
        tcp = 14 + (packet.data[14] & 15) * 4
        source, target = (str(IPv4Address(packet.data[at : at + 4])) for at in (26, 30))
        source_port, target_port, seq = struct.unpack_from("!HHI", packet.data, tcp)
        header = (packet.data[tcp + 12] >> 4) * 4
        found.append(
            Segment(
                sender=names[packet.interface].partition(":")[0],
                t=(packet.time_ns - zero_ns) / 1e9,
                local=f"{source}:{source_port}",
                peer=f"{target}:{target_port}",
                flags=packet.data[tcp + 13],
                seq=seq,
                ip_id=ip_id,
                payload=14 + total - tcp - header,
            )
        )
    return found


def tcpdump(path: Path, *args: str) -> list[str]:
    """A line for each packet, of a file that tcpdump accepts."""
    program = shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("tcpdump is missing: tools/setup.sh tests")
    done = subprocess.run(
        [program, "-nn", "-tt", "--nano", *args, "-r", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "truncated" not in done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("\t")]  # the others are hex dumps
