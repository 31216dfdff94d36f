"""The pcapng writer against an independent reader, and against tcpdump; the socket filter against a tiny machine."""

from __future__ import annotations

import struct
from ipaddress import IPv4Interface
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observe.capture import pcapng
from orchestrator.observe.capture.packetring import only_from
from tests.support.pcapreader import Packet, read, tcpdump

TIMES = st.integers(0, 2**64 - 1)
TEXTS = st.text(max_size=40)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
MAC = "02:00:c6:12:00:02"


def interface(name: str = "client:eth0") -> bytes:
    return pcapng.interface(name=name, description="", address=IPv4Interface("198.18.0.2/24"), mac=MAC)


def section(comment: str = "") -> bytes:
    return pcapng.section(application="simctl", system="Linux", comment=comment)


@given(TEXTS, TEXTS, TEXTS, st.lists(st.tuples(NAMES, TEXTS), max_size=4))
def test_section_and_interfaces_come_back(comment: str, app: str, system: str, legs: list[tuple[str, str]]) -> None:
    content = pcapng.section(application=app, system=system, comment=comment)
    for number, (name, description) in enumerate(legs):
        address = IPv4Interface(f"198.18.0.{number}/24")
        content += pcapng.interface(name=name, description=description, address=address, mac=MAC)
    found = read(content)
    assert found.section == {1: comment.encode(), 3: system.encode(), 4: app.encode()}
    assert found.interface_names() == [name for name, _ in legs]
    for number, (options, (_, description)) in enumerate(zip(found.interfaces, legs, strict=True)):
        assert options[3].decode() == description
        assert options[4] == bytes([198, 18, 0, number, 255, 255, 255, 0])
        assert options[6] == bytes([2, 0, 198, 18, 0, 2])
        assert options[9] == bytes([9]), "nanoseconds"


PACKETS = st.builds(
    lambda interface, time_ns, data, more: Packet(interface, time_ns, data, len(data) + more),
    st.integers(0, 2),
    TIMES,
    st.binary(max_size=200),
    st.integers(0, 70_000),
)


@given(st.lists(PACKETS, max_size=20))
def test_packets_come_back(packets: list[Packet]) -> None:
    content = section() + interface() * 3
    content += b"".join(pcapng.packet(each.interface, each.time_ns, each.data, each.length) for each in packets)
    assert read(content).packets == packets


@given(st.dictionaries(st.ip_addresses(v=4).map(str), NAMES, max_size=5))
def test_names_come_back(names: dict[str, str]) -> None:
    assert read(section() + pcapng.names(names)).names == names


@given(st.integers(0, 5), TIMES, TIMES, st.integers(0, 2**40), st.integers(0, 2**40), TEXTS)
def test_statistics_come_back(number: int, now: int, began: int, written: int, dropped: int, comment: str) -> None:
    block = pcapng.statistics(number, now, began_ns=began, written=written, dropped=dropped, comment=comment)
    ((found, options),) = read(section() + block).statistics.items()
    assert found == number
    assert {code: struct.unpack("<Q", options[code])[0] for code in (4, 7, 8)} == {
        4: written + dropped, 7: dropped, 8: written
    }  # fmt: skip
    high, low = struct.unpack("<II", options[2])
    assert high << 32 | low == began
    assert options.get(1, b"").decode() == comment


def test_tcpdump_accepts_all_blocks_and_lengths(tmp_path: Path) -> None:
    lengths = [*range(14, 60), 1514, 65_549]
    frames = [bytes(12) + b"\x88\xb5" + bytes(length - 14) for length in lengths]
    content = section("a comment") + interface() + interface("server:eth0") + pcapng.names({"198.18.0.2": "client"})
    for number, frame in enumerate(frames):
        content += pcapng.packet(number % 2, 1_700_000_000_123_456_000 + number, frame, len(frame))
    content += pcapng.statistics(0, 1_700_000_001 * 10**9, began_ns=0, written=len(frames), dropped=0)
    path = tmp_path / "all.pcapng"
    path.write_bytes(content)
    lines = tcpdump(path, "-e")
    assert [line.split()[0] for line in lines] == [f"1700000000.{123456000 + n:09d}" for n in range(len(frames))]
    assert [int(line.partition("length ")[2].split(":")[0]) for line in lines] == lengths


@given(st.sets(st.integers(1, 60), max_size=30), st.integers(1, 2**31))
def test_filter_takes_frames_of_the_given_interfaces_only(wanted: set[int], snap: int) -> None:
    program = only_from(wanted, snap)
    assert {ifindex for ifindex in range(70) if run_filter(program, ifindex) == snap} == wanted
    assert {run_filter(program, ifindex) for ifindex in range(70)} <= {0, snap}


def run_filter(program: list[tuple[int, int, int, int]], ifindex: int) -> int:
    """The machine of bpf(4), as far as it is needed: what a program returns for a frame of this interface."""
    accumulator, counter = -1, 0
    while True:
        code, if_true, if_false, value = program[counter]
        counter += 1
        match code:
            case 0x20:
                assert value == 2**32 - 0x1000 + 8, "the number of the interface"
                accumulator = ifindex
            case 0x25:
                counter += if_true if accumulator > value else if_false
            case 0x35:
                counter += if_true if accumulator >= value else if_false
            case 0x05:
                counter += value
            case 0x06:
                return value
            case _:
                raise AssertionError(f"no instruction {code:#x}")


def test_filter_of_many_successive_interfaces_stays_short() -> None:
    assert len(only_from(range(5, 1005), 100)) == 6
