"""The ring against the real kernel: each frame once, drops counted, nothing lost at the end."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.fabric.wiring import Leg
from orchestrator.observe.capture.capture import Capture
from orchestrator.observe.capture.packetring import BLOCK, Frame, PacketRing, only_from
from tests.support.netspace import in_netns
from tests.support.pcapreader import read

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("as_root")]

EXPERIMENTAL = 0x88B5
"""An EtherType for local experiments (IEEE 802): nobody answers it."""

SNAP = 1000


class Bench:
    """Two pairs of interfaces in the current namespace: what is sent into a comes in at b, of c at d."""

    def __init__(self) -> None:
        from pyroute2 import IPRoute

        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # it would talk by itself
        with IPRoute() as ip:
            for name, peer in (("a", "b"), ("c", "d")):
                ip.link("add", ifname=name, kind="veth", peer={"ifname": peer})
            for name in "abcd":
                ip.link("set", index=socket.if_nametoindex(name), state="up", mtu=9000)
        self._senders = {}
        for name in "abcd":
            self._senders[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._senders[name].bind((name, 0))

    def send(self, name: str, payload: bytes) -> None:
        self._senders[name].send(bytes(12) + EXPERIMENTAL.to_bytes(2, "big") + payload)

    def close(self) -> None:
        for sender in self._senders.values():
            sender.close()


def drain(ring: PacketRing) -> list[Frame]:
    """All that the ring has, and then no more. There is something: a frame may be on its way through a busy machine."""
    select.select([ring], [], [], 20)
    ring.refuse()
    return list(rest(ring))


def rest(ring: PacketRing) -> Iterator[Frame]:
    deadline = time.monotonic() + 20
    while not ring.all_read():
        assert time.monotonic() < deadline
        select.select([ring], [], [], 0.1)
        for frames in ring.read():
            yield from frames


def test_takes_what_enters_and_not_what_leaves() -> None:
    def body() -> tuple[int, int, list[Frame]]:
        bench = Bench()
        before = time.time_ns()
        ring = PacketRing(only_from([socket.if_nametoindex("b"), socket.if_nametoindex("d")], SNAP), blocks=4)
        ring.attach()
        bench.send("a", b"one")  # enters b
        bench.send("b", b"two")  # leaves b, enters a
        bench.send("c", bytes(3000))
        frames = drain(ring)
        bench.send("a", b"refused")
        assert ring.all_read()
        assert ring.dropped() == 0
        assert frames[0].ifindex == socket.if_nametoindex("b")
        assert frames[1].ifindex == socket.if_nametoindex("d")
        ring.close()
        bench.close()
        return before, time.time_ns(), frames

    before, after, frames = in_netns(body)
    assert [(frame.data[14:], frame.length) for frame in frames] == [(b"one", 17), (bytes(SNAP - 14), 3014)]
    assert before <= frames[0].time_ns <= frames[1].time_ns <= after


def test_interfaces_that_were_not_asked_for_are_not_heard() -> None:
    def body() -> list[Frame]:
        bench = Bench()
        ring = PacketRing(only_from([socket.if_nametoindex("d")], SNAP), blocks=4)
        ring.attach()
        bench.send("a", b"no")
        bench.send("c", b"yes")
        frames = drain(ring)
        ring.close()
        bench.close()
        return frames

    assert [frame.data[14:] for frame in in_netns(body)] == [b"yes"]


def test_all_blocks_are_read_in_order_again_and_again() -> None:
    """More than the ring holds, read while it fills."""

    def body() -> tuple[list[int], int]:
        bench = Bench()
        ring = PacketRing(only_from([socket.if_nametoindex("b")], 1 << 16), blocks=3)
        ring.attach()
        numbers: list[int] = []
        for number in range(800):  # of 8 KB each: eight times the ring
            bench.send("a", number.to_bytes(4, "big") + bytes(8000))
            numbers += [int.from_bytes(frame.data[14:18], "big") for frames in ring.read() for frame in frames]
        numbers += [int.from_bytes(frame.data[14:18], "big") for frame in drain(ring)]
        dropped = ring.dropped()
        ring.close()
        bench.close()
        return numbers, dropped

    assert in_netns(body) == (list(range(800)), 0)


def test_what_finds_the_ring_full_is_counted() -> None:
    def body() -> tuple[int, int]:
        bench = Bench()
        ring = PacketRing(only_from([socket.if_nametoindex("b")], 1 << 16), blocks=2)
        ring.attach()
        for _ in range(4 * BLOCK // 8000):
            bench.send("a", bytes(8000))
        frames = drain(ring)
        dropped = ring.dropped()
        ring.close()
        bench.close()
        return len(frames), dropped

    taken, dropped = in_netns(body)
    assert taken > 0
    assert dropped > 0
    assert taken + dropped == 4 * BLOCK // 8000


def test_a_disk_without_space_ends_the_file_and_nothing_else(tmp_path: Path) -> None:
    """/dev/full refuses every byte as a full disk does."""
    (tmp_path / "full.pcapng").symlink_to("/dev/full")

    def body() -> None:
        bench = Bench()
        ports = {"b": Leg("one", "eth0", "full", "198.18.0.2", 24), "d": Leg("two", "eth0", "free", "198.18.1.2", 24)}
        capture = Capture(tmp_path, ports, time.monotonic())
        for name in "ac":
            bench.send(name, b"frame")
        captured = capture.finish()
        assert captured["full"].error == os.strerror(28)
        assert captured["full"].frames == 0
        assert (captured["free"].frames, captured["free"].dropped, captured["free"].error) == (1, 0, None)
        bench.close()

    in_netns(body)
    contents = read((tmp_path / "free.pcapng").read_bytes())
    assert contents.interface_names() == ["two:eth0"]
    assert contents.names == {"198.18.1.2": "two"}
    (packet,) = contents.packets
    assert packet.data.endswith(b"frame")
    assert 0 <= packet.time_ns / 1e9 - contents.zero() < 60


def test_a_folder_that_is_not_there_is_told_at_the_end(tmp_path: Path) -> None:
    def body() -> str | None:
        bench = Bench()
        capture = Capture(tmp_path / "gone", {"b": Leg("one", "eth0", "lab", "198.18.0.2", 24)}, time.monotonic())
        bench.send("a", b"frame")
        error = capture.finish()["lab"].error
        bench.close()
        return error

    assert in_netns(body) == os.strerror(2)
