"""What a scenario says of addresses, names, flows and connections, and gets wrong: one message each, where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.kinds.registry import load_kinds
from orchestrator.run.check import check_scenario
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
        ("hosts: {node: client, set: {api: oen}}", "oen", "oen is no node and no IPv4 address"),
        ("hosts: {node: client, set: {api: [one, 1.2.3]}}", "[one", "1.2.3 is no node and no IPv4 address"),
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
