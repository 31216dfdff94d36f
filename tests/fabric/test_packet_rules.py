"""What rules of nftables are made of a step's selection, and what the kernel reports of a packet. Nothing is loaded."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.fabric.faults.impairment import Settings as Impaired
from orchestrator.fabric.faults.impairment import netem
from orchestrator.fabric.faults.nftables import BRIDGE, Chosen, Kind, Way, removal, rule
from orchestrator.fabric.faults.packets import Settings, ways
from orchestrator.fabric.wiring import Leg
from orchestrator.observe.sources.filtered import packet

pytestmark = pytest.mark.pure

PORTS = {
    "leg1": Leg("client", "eth0", "front", "198.18.0.2", 29),
    "leg2": Leg("nat", "eth0", "front", "198.18.0.3", 29),
    "leg3": Leg("nat", "eth1", "back", "198.18.1.2", 29),
    "leg4": Leg("server", "eth0", "back", "198.18.1.3", 29),
}


def hits(chosen: Chosen) -> list[int]:
    """The numbers of the packets that a rule takes, from 0 on."""
    found = re.search(r"numgen inc mod \d+ \{ ([^}]*) \}", rule(1, [Way(["leg1"])], Kind(), chosen, "drop"))
    assert found is not None
    return [int(number) for number in found[1].split(",")]


def test_a_packet_comes_by_its_sender_s_port_and_goes_to_its_target_s_address() -> None:
    (way,) = ways(PORTS, Settings("x", ["client"], ["nat"]))
    assert way == Way(["leg1"], ["02:00:c6:12:00:03", "02:00:c6:12:01:02"])
    (way,) = ways(PORTS, Settings("x", ["nat"], network="back"))
    assert way == Way(["leg3"], None)
    (way,) = ways(PORTS, Settings("x", None, ["server"]))
    assert way == Way(list(PORTS), ["02:00:c6:12:01:03"])


def test_both_ways_are_two() -> None:
    one, other = ways(PORTS, Settings("x", ["nat"], ["server"], both_ways=True, network="back"))
    assert (one.ports, other.ports) == (["leg3"], ["leg4"])
    assert (one.targets, other.targets) == (["02:00:c6:12:01:03"], ["02:00:c6:12:01:02"])


def test_nothing_is_matched_where_nobody_is() -> None:
    assert "hook" not in rule(1, [Way([], None), Way(["leg1"], [])], Kind(), Chosen(), "drop")


@given(st.lists(st.integers(1, 65536), min_size=1, max_size=20, unique=True))
def test_the_so_manieth_is_counted_from_one(nth: list[int]) -> None:
    assert hits(Chosen(nth=nth)) == sorted(number - 1 for number in nth)


@given(st.floats(0.05, 0.95), st.integers(0, 1 << 32))
def test_dice_are_thrown_beforehand(probability: float, seed: int) -> None:
    thrown = hits(Chosen(probability=probability, seed=seed))
    assert thrown == hits(Chosen(probability=probability, seed=seed))
    assert abs(len(thrown) / 4096 - probability) < 0.06


def test_a_certain_one_throws_none() -> None:
    assert "numgen" not in rule(1, [Way(["leg1"])], Kind(), Chosen(probability=1.0), "drop")


def test_data_is_what_stands_behind_the_headers() -> None:
    text = rule(1, [Way(["leg1"])], Kind("tcp", 80, ["data", "ACK"]), Chosen(), "drop")
    assert "tcp doff 8 ip length > 52 goto act1" in text
    assert "== ack tcp doff 8 ip length 52 goto act1" in text


def test_what_is_made_is_taken_away() -> None:
    made = re.findall(r"chain (\w+)", rule(7, [Way(["leg1"])], Kind(), Chosen(), "drop"))
    assert sorted(made) == sorted(re.findall(r" (\w+)$", removal(7), re.MULTILINE))


def test_a_bridge_s_table_has_the_same_rule_and_no_devices() -> None:
    """For kernels that refuse packets there alone, as Debian's in the virtual machine."""
    text = rule(7, [Way(["leg1"])], Kind("tcp"), Chosen(), "reject", family=BRIDGE)
    assert "table bridge simctl" in text
    assert "hook prerouting priority 7" in text
    assert "devices" not in text
    assert "iifname { leg1 }" in text
    assert all("bridge" in line for line in removal(7, BRIDGE).splitlines())


def test_an_impairment_in_the_words_of_tc() -> None:
    text = netem("leg4", 2, Impaired("x", delay=0.1, jitter=0.02, duplicate=0.1, rate="10mbit"))
    assert "parent 51c:2 " in text
    assert text.endswith("delay 100000us 20000us duplicate 10.000000% rate 10mbit")


def test_a_packet_that_the_kernel_reports() -> None:
    addresses = bytes([198, 18, 0, 2, 198, 18, 0, 3])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 62, 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 7, 9, 8 << 4, 0x18, 0, 0, 0) + bytes(12)
    assert packet(ip + tcp) == {
        "protocol": "tcp",
        "local": "198.18.0.2:40000",
        "peer": "198.18.0.3:80",
        "flags": "P.",
        "seq": 7,
        "ack": 9,
        "len": 10,
    }
    icmp = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 1, 0) + addresses
    assert packet(icmp) == {"protocol": "icmp", "local": "198.18.0.2", "peer": "198.18.0.3", "len": 8}
    fragment = struct.pack("!BBHHHBBH", 0x45, 0, 62, 0, 0x2001, 64, 6, 0) + addresses
    assert "flags" not in packet(fragment + tcp)
