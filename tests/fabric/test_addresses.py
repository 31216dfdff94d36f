"""The address plan, and the claim of subnets between processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import EnvironmentFailure, InputError, Place
from orchestrator.fabric.addresses import plan, plan_addresses, sizes
from orchestrator.fabric.subnetclaim import LAB_SPACE, SubnetClaim
from orchestrator.topology.model import Attachment, Network, Node, Topology

PLACE = Place("compose.yaml")
SMALL = IPv4Network((10 << 24 | os.getpid() % 2**14 << 10, 22))
"""Four /24 of this session's own for tests that fill their space; another session must not meet them."""


def node(name: str, *attachments: Attachment, service: str | None = None, **more: object) -> Node:
    return Node(name, service or name, "x", None, PLACE, attachments=attachments, **more)  # type: ignore[arg-type]


def topology(*nodes: Node, networks: dict[str, str | None]) -> Topology:
    return Topology(Path("compose.yaml"), nodes, tuple(Network(name, subnet) for name, subnet in networks.items()))


FRONT, BACK = IPv4Network("198.18.0.0/24"), IPv4Network("10.5.0.0/29")


def test_interfaces_in_the_order_of_attachment() -> None:
    lab = topology(
        node("a", Attachment("back"), Attachment("front")),
        node("b", Attachment("back", (), "10.5.0.2")),
        node("c", Attachment("back")),
        node("d"),
        networks={"front": None, "back": "10.5.0.0/29"},
    )
    planned = plan(lab, {"front": FRONT, "back": BACK})
    legs = {
        name: [(leg.name, leg.network, leg.address, leg.prefix) for leg in legs]
        for name, legs in planned.interfaces.items()
    }
    assert legs == {
        "a": [("eth0", "back", "10.5.0.3", 29), ("eth1", "front", "198.18.0.2", 24)],
        "b": [("eth0", "back", "10.5.0.2", 29)],
        "c": [("eth0", "back", "10.5.0.4", 29)],
        "d": [],
    }
    assert planned.nodes == {"10.5.0.3": "a", "198.18.0.2": "a", "10.5.0.2": "b", "10.5.0.4": "c"}
    assert planned.hosts["d"] == {}


def test_hosts_has_every_name_of_a_shared_network() -> None:
    lab = topology(
        node(
            "client-1",
            Attachment("front", ("client",)),
            service="client",
            extra_hosts={"api": "10.9.9.9", "client-1": "1.2.3.4"},
        ),
        node("client-2", Attachment("front", ("client",)), service="client", hostname="second.example.com"),
        node("proxy", Attachment("front", ("proxy", "www", "server")), Attachment("back", ("proxy", "api"))),
        node("server", Attachment("back", ("server", "api"))),
        networks={"front": None, "back": None},
    )
    hosts = plan(lab, {"front": FRONT, "back": BACK}).hosts
    front = {
        "client": "198.18.0.2",
        "client-1": "198.18.0.2",
        "client-2": "198.18.0.3",
        "proxy": "198.18.0.4",
        "www": "198.18.0.4",
    }
    assert hosts["client-1"] == {**front, "server": "198.18.0.4", "api": "10.9.9.9"}
    assert hosts["client-2"] == {**front, "server": "198.18.0.4", "second.example.com": "198.18.0.3"}
    assert hosts["proxy"] == {**front, "server": "10.5.0.3", "api": "10.5.0.2"}
    assert hosts["server"] == {"server": "10.5.0.3", "proxy": "10.5.0.2", "api": "10.5.0.2"}


def test_a_subnet_without_room() -> None:
    lab = topology(*(node(f"n{number}", Attachment("back")) for number in range(6)), networks={"back": None})
    with pytest.raises(InputError, match=r"10\.5\.0\.0/29 of the network back has room for 5 nodes only"):
        plan(lab, {"back": BACK})


@given(
    st.lists(st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a"), ()]), max_size=300), st.sets(st.integers(2, 250))
)
def test_addresses_are_unique_and_lie_in_their_subnet(legs: list[tuple[str, ...]], wanted: set[int]) -> None:
    fixed = iter(sorted(wanted))
    nodes = []
    for number, networks in enumerate(legs):
        offset = next(fixed, None) if "a" in networks else None
        address = str(SMALL.network_address + offset) if offset is not None else None
        nodes.append(node(f"n{number}", *(Attachment(name, (), address if name == "a" else None) for name in networks)))
    lab = topology(*nodes, networks={"a": None, "b": None})
    subnets = {"a": SMALL, "b": IPv4Network("10.0.0.0/16")}
    planned = plan(lab, subnets)
    every = [leg for legs in planned.interfaces.values() for leg in legs]
    assert len(planned.nodes) == len(every) == sum(sizes(lab).values())
    for leg in every:
        subnet = subnets[leg.network]
        assert IPv4Address(leg.address) in subnet
        assert IPv4Address(leg.address) - int(subnet.network_address) >= IPv4Address(2)
        assert leg.address != str(subnet.broadcast_address)
    for here in lab.nodes:
        assert [leg.network for leg in planned.interfaces[here.name]] == [leg.network for leg in here.attachments]
        assert set(planned.hosts[here.name].values()) >= {leg.address for leg in planned.interfaces[here.name][:1]}


HOLDER = """
import sys
from ipaddress import IPv4Network
from orchestrator.fabric.subnetclaim import SubnetClaim
claim = SubnetClaim(IPv4Network(sys.argv[1]))
fixed = {"fixed": IPv4Network(sys.argv[2])} if len(sys.argv) > 2 else {}
print(*claim.claim({} if fixed else {"a": 1, "b": 1}, fixed).values(), flush=True)
sys.stdin.read()
"""


class Holder:
    """Another simctl: a process that holds subnets until its input ends or it is killed."""

    def __init__(self, space: IPv4Network, fixed: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(space), *([fixed] if fixed else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def subnets(self) -> list[IPv4Network]:
        """What it holds; waits until it does."""
        assert self.process.stdout is not None
        return [IPv4Network(word) for word in self.process.stdout.readline().split()]

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate()


@pytest.fixture
def other() -> Iterator[Holder]:
    holder = Holder(SMALL)
    assert len(holder.subnets) == 2
    yield holder
    holder.end()


def test_two_processes_never_get_the_same_subnet(other: Holder) -> None:
    with SubnetClaim(SMALL) as claim:
        mine = claim.claim({"a": 1, "b": 1})
        assert len({*mine.values(), *other.subnets}) == 4
        with pytest.raises(EnvironmentFailure, match=f"no subnet of {re.escape(str(SMALL))} is left for the network c"):
            claim.claim({"c": 1})


def test_processes_that_claim_at_the_same_time() -> None:
    holders = [Holder(SMALL.supernet(2)) for _ in range(4)]
    try:
        assert len({subnet for holder in holders for subnet in holder.subnets}) == 8
    finally:
        for holder in holders:
            holder.end()


def test_a_killed_process_leaves_no_claim(other: Holder) -> None:
    other.end(signal.SIGKILL)
    with SubnetClaim(SMALL) as claim:
        assert len(set(claim.claim({"a": 1, "b": 1, "c": 1, "d": 1}).values())) == 4


def test_closing_frees_the_subnets() -> None:
    for _ in range(2):
        with SubnetClaim(SMALL) as claim:
            claim.claim({"large": 1000})
    claim.close()


def test_claims_are_all_or_nothing() -> None:
    with SubnetClaim(SMALL) as first, SubnetClaim(SMALL) as second:
        with pytest.raises(EnvironmentFailure):
            first.claim({"a": 1, "too-large": 1001})
        assert second.claim({"large": 1000}) == {"large": SMALL}


@pytest.mark.parametrize(("nodes", "prefix"), [(1, 24), (250, 24), (251, 23), (506, 23), (507, 22), (1018, 22)])
def test_a_large_network_gets_a_larger_aligned_block(nodes: int, prefix: int) -> None:
    with SubnetClaim(SMALL) as claim:
        subnet = claim.claim({"a": nodes})["a"]
    assert subnet.prefixlen == prefix
    assert subnet.subnet_of(SMALL)
    assert subnet.num_addresses - 3 >= nodes


def test_a_larger_block_never_overlaps(other: Holder) -> None:
    with SubnetClaim(SMALL) as claim:
        block = claim.claim({"a": 300})["a"]
        assert not any(block.overlaps(subnet) for subnet in other.subnets)
        with pytest.raises(EnvironmentFailure):
            claim.claim({"b": 1})


def test_a_fixed_subnet_that_another_run_has() -> None:
    half, rest = SMALL.subnets()
    holder = Holder(SMALL, str(half))
    try:
        assert holder.subnets == [half]
        with SubnetClaim() as claim:
            with pytest.raises(EnvironmentFailure, match=f"{SMALL} of the network n is in use: .* has {half}"):
                claim.claim({"n": 1}, {"n": SMALL})
            assert claim.claim({"n": 1}, {"n": rest}) == {"n": rest}
    finally:
        holder.end()


def test_a_chosen_subnet_keeps_clear_of_fixed_ones() -> None:
    first_half = next(SMALL.subnets())
    with SubnetClaim(SMALL) as claim:
        chosen = claim.claim({"a": 1, "b": 1}, {"b": first_half})
    assert list(chosen) == ["a", "b"]
    assert not chosen["a"].overlaps(chosen["b"])


@pytest.mark.parametrize("subnet", ["8.8.8.0/24", "127.0.0.0/24", "169.254.0.0/24", "224.0.0.0/24", "198.20.0.0/24"])
def test_a_lab_never_takes_real_addresses(subnet: str) -> None:
    with SubnetClaim() as claim, pytest.raises(InputError, match="no private address space"):
        claim.claim({}, {"n": IPv4Network(subnet)})


def test_claims_do_not_pass_to_programs_unless_given() -> None:
    with SubnetClaim(SMALL) as claim:
        claim.claim({"large": 1000})
        (number,) = claim.filenos()
        assert not os.get_inheritable(number)
        sleeper = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[number])
    try:
        with SubnetClaim(SMALL) as second, pytest.raises(EnvironmentFailure):
            second.claim({"a": 1})
    finally:
        sleeper.communicate()
    with SubnetClaim(SMALL) as second:
        second.claim({"a": 1})


def test_plan_addresses_claims_what_the_topology_needs() -> None:
    lab = topology(
        node("a", Attachment("n"), Attachment("m")),
        node("b", Attachment("n")),
        networks={"n": None, "m": str(SMALL)},
    )
    with SubnetClaim() as claim:
        planned = plan_addresses(lab, claim)
        assert len(claim.filenos()) == 2
    assert planned.subnets["n"].subnet_of(LAB_SPACE)
    assert planned.subnets["m"] == SMALL
    assert planned.interfaces["a"][0].address == str(planned.subnets["n"].network_address + 2)
