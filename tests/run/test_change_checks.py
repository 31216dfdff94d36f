"""What a scenario says of addresses, names, flows and connections, and gets wrong: one message each, where it is."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from orchestrator.errors import InputError
from orchestrator.fabric.addresses import AddressPlan, Virtual
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.names import Names
from orchestrator.run.check import check_scenario
from orchestrator.runtimes.base import Runtime
from orchestrator.scenario.loader import LoadedScenario, parse_scenario
from orchestrator.text.yamlsource import parse_yaml
from orchestrator.topology.compose.file import load_topology

TOPOLOGY = """\
x-simctl: {addresses: {vip: {network: front, node: one}}}
services:
  client: {image: simctl/requests, networks: [front]}
  one: {image: simctl/origin, networks: [front]}
  two: {image: simctl/origin, networks: [front, back]}
  nat: {image: simctl/nat, networks: [front, back], sysctls: {net.ipv4.ip_forward: 1}}
  pair: {image: simctl/origin, networks: [front], deploy: {replicas: 2}}
  far: {image: simctl/origin, networks: [back]}
  foreign: {image: "redis:7", networks: [apart]}
networks: {front: {}, back: {}, apart: {}}
"""
SCENARIO = "name: x\ntopology: compose.yaml\nsteps:\n  - "
KINDS = load_kinds()


def check(folder: Path, step: str) -> None:
    (folder / "compose.yaml").write_text(TOPOLOGY)
    topology = load_topology(folder / "compose.yaml", {}, kinds=KINDS)
    source = parse_yaml(SCENARIO + step, "x.yaml")
    check_scenario(LoadedScenario(parse_scenario(source), source, topology.path), topology, KINDS)


@pytest.mark.parametrize(
    "step",
    [
        "flush: nat",
        "flush: {node: nat}",
        "destroy: {node: client, peer: pair, port: 8080}",
        "move: {address: vip, to: two, announce: false}\n  - heal: move-1",
        "hosts: {node: client, set: {api: [pair-1, 198.18.0.9], one: [], vip: two, two: vip}}\n  - heal: hosts-1",
        "partition: {between: [front, back]}\n  - heal: partition-1",
        "reload: {node: nat, set: {UPSTREAM: 'far:8080'}}",
    ],
)
def test_what_is_right(tmp_path: Path, step: str) -> None:
    check(tmp_path, step)


@pytest.mark.parametrize(
    ("step", "at", "says"),
    [
        ("flush: one", "one", "one is no NAT: it has no table of flows"),
        ("hosts: {node: client, set: {api: foreign}}", "foreign", "no node or name that client could reach"),
        ("hosts: {node: client, set: {api: one, API: two}}", "{api: one", "a name is there twice: letter case"),
        ("flush: nath", "nath", "no node is called nath"),
        ("flush: {node: nat, all: 1}", "all", "unknown key all"),
        ("destroy: {node: clien}", "clien}", "no node is called clien"),
        ("destroy: {peer: one}", "destroy", "`node`"),
        ("destroy: {node: client, peer: 1.2.3.4}", "1.2", "no node is called 1.2.3.4"),
        ("destroy: {node: client, port: 70000}", "70000", "at most 65535"),
        ("destroy: {node: client, count: 1}", "count", "unknown key count"),
        ("move: {address: vap, to: two}", "vap", "the topology has no virtual address vap"),
        ("move: {address: vip, to: tow}", "tow", "no node is called tow"),
        ("move: {address: vip, to: far}", "far", "far is not on front, the network of vip"),
        ("move: {address: vip, to: pair}", "pair", "pair is 2 nodes: an address is of one"),
        ("move: {address: vip}", "move", "`to`"),
        ("move: {address: vip, to: two, announce: maybe}", "maybe", "true or false"),
        ("hosts: {node: client, set: {}}", "{}", "must not be empty"),
        ("hosts: {node: client, set: {api: oen}}", "oen", "oen is no IPv4 address, and no node or name"),
        ("hosts: {node: client, set: {api: [one, 1.2.3]}}", "[one", "1.2.3 is no IPv4 address, and no node or name"),
        ("hosts: {node: client, set: {'a b': one}}", "one", "is no host name"),
        ("hosts: {node: foreign, set: {a: one}}", "foreign", "foreign is an image of its own"),
        ("partition: {between: [front, front]}", "[", "a network cannot be cut off from itself"),
        ("partition: {between: [front, apart]}", "[", "no node is on both front and apart"),
        ("partition: {between: [front, back], network: back}", "back}", "`network` is for two nodes"),
        ("partition: {between: [front, far]}", "[", "no node is called front"),
        ("reload: {node: nat, set: {CONNTRACK_MAX: 4}}", "CONNTRACK", "does not change CONNTRACK_MAX"),
        ("reload: {node: nat, set: {ON_UNKNOWN: pass}}", "pass", "expected drop or reset or pick-up"),
        ("restart: {node: nat, set: {SOURCE_PORTS: '1-2000'}}", "'1-", "expected 1024 ports at most"),
    ],
)
def test_one_message_where_it_is_wrong(tmp_path: Path, step: str, at: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        check(tmp_path, step)
    (problem,) = refused.value.problems
    assert says in problem.message
    assert problem.place is not None
    line = "  - " + step
    assert (problem.place.line, problem.place.column) == (
        4,
        line.index(at, line.index(":") if at not in step.split(":")[0] else 0) + 1,
    )


def test_a_name_that_a_step_made_is_no_address_for_another_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="new is no IPv4 address"):
        check(tmp_path, "hosts: {node: client, set: {new: one}}\n  - hosts: {node: client, set: {api: new}}")


def test_too_many_knobs_are_told_in_plain_words(tmp_path: Path) -> None:
    knobs = ", ".join(f"K{number}: 1" for number in range(65))
    with pytest.raises(InputError, match="`set`: must have at most 64, not more"):
        check(tmp_path, f"restart: {{node: one, set: {{{knobs}}}}}")


@pytest.mark.parametrize("pace", ["rate: 1.0e-320, count: 2", "rate: 1.0e-9, count: 1000000"])
def test_a_step_that_nobody_lives_to_see_the_end_of(tmp_path: Path, pace: str) -> None:
    with pytest.raises(InputError, match="the step would take more than 366 days"):
        check(tmp_path, f"request: {{from: client, url: 'http://one:8080/', {pace}}}")


def test_the_latest_step_that_is_not_healed_counts() -> None:
    """In whatever order they are healed: the one that is left is never what a healed one did."""
    written: list[str] = []

    class Files:
        def set_hosts(self, node: str, text: str) -> None:
            written.append(text)

    plan = AddressPlan(
        {},
        {"client": ()},
        {"client": {"one": "198.18.0.2", "two": "198.18.0.3"}},
        virtual={"vip": Virtual("198.18.0.9", "front", "one")},
    )
    names = Names(plan, cast("Runtime", Files()))
    names.set("client", "a", {"x": ["one"]})
    names.set("client", "b", {"x": ["two"]})
    assert "198.18.0.3 x" in written[-1].replace("\t", " ")
    names.set("client", "a", None)
    assert "198.18.0.3 x" in written[-1].replace("\t", " ")
    names.set("client", "b", None)
    assert " x" not in written[-1].replace("\t", " ")
    moves = [("a", "two"), ("b", "nat"), ("a", None), ("b", None)]
    assert [names.choose("vip", step, node) for step, node in moves] == ["two", "nat", "nat", "one"]
