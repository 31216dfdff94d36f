"""The keys `x-simctl` of a Compose file: virtual addresses, and routes of a node's own."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.fabric.addresses import plan, sizes
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.model import Topology

FILE = """\
x-simctl: {top}
services:
  client: {{image: simctl/requests, networks: [front], x-simctl: {client}}}
  one: {{image: simctl/origin, networks: [front, back]}}
  two: {{image: simctl/origin, networks: [front, back]}}
  server: {{image: simctl/origin, networks: [back], x-simctl: {{routes: {{front: two}}}}}}
  apart: {{image: simctl/origin, networks: [small], scale: 5}}
networks:
  front: {{}}
  back: {{}}
  small: {{ipam: {{config: [{{subnet: 10.5.0.0/29}}]}}}}
"""


def load(folder: Path, top: str = "{}", client: str = "{}") -> Topology:
    path = folder / "compose.yaml"
    path.write_text(FILE.format(top=top, client=client))
    return load_topology(path, {}, kinds=["origin", "requests"])


def test_an_address_of_its_own_and_routes_that_the_file_gives(tmp_path: Path) -> None:
    topology = load(tmp_path, "{addresses: {vip: {network: front, node: one}}}", "{routes: {back: one}}")
    assert sizes(topology) == {"front": 4, "back": 3, "small": 5}
    subnets = {name: IPv4Network(f"198.18.{number}.0/29") for number, name in enumerate(("front", "back", "small"))}
    planned = plan(topology, subnets, {"one", "two"})
    assert planned.virtual["vip"].address == "198.18.0.5"
    assert planned.nodes["198.18.0.5"] == "one"
    assert planned.of("one") == ["198.18.0.3", "198.18.1.2", "198.18.0.5"]
    assert planned.hosts["client"]["vip"] == planned.hosts["server"]["vip"] == "198.18.0.5"
    assert planned.gateways["client"] == [("198.18.1.0/29", "198.18.0.3")]
    assert planned.gateways["server"] == [("198.18.0.0/29", "198.18.1.3")], "not by the first, as it would by itself"


def test_routes_need_no_router_that_simctl_knows(tmp_path: Path) -> None:
    topology = load(tmp_path, client="{routes: {back: two}}")
    subnets = {name: IPv4Network(f"198.18.{number}.0/29") for number, name in enumerate(("front", "back", "small"))}
    assert {node: way.gateway for node, (way,) in plan(topology, subnets).routes.items()} == {
        "client": "198.18.0.4",
        "server": "198.18.1.3",
    }


@pytest.mark.parametrize(
    ("top", "client", "at", "message"),
    [
        ("[]", "{}", "[]", "expected x-simctl: a mapping, not a list"),
        ("{adresses: {}}", "{}", "adresses", "unknown key x-simctl.adresses in x-simctl"),
        ("{addresses: {vip: lab}}", "{}", "lab", "expected a virtual address: a mapping"),
        ("{addresses: {vip: {network: front}}}", "{}", "vip", "the address vip needs a `node`"),
        ("{addresses: {vip: {network: font, node: one}}}", "{}", "font", "there is no network font"),
        ("{addresses: {vip: {network: front, node: oen}}}", "{}", "oen", "there is no node oen"),
        ("{addresses: {vip: {network: front, node: server}}}", "{}", "server", "server is not on the network front"),
        ("{addresses: {one: {network: front, node: one}}}", "{}", "one:", "one is the name of a node already"),
        ("{addresses: {'a b': {network: front, node: one}}}", "{}", "'a b'", "cannot name a virtual address"),
        ("{addresses: {vip: {network: front, node: one, x: 1}}}", "{}", "x: 1", "unknown key x-simctl.addresses.x"),
        (
            "{addresses: {vip: {network: small, node: apart-1}}}",
            "{}",
            "vip",
            "has room for 5 addresses, but small needs 6",
        ),
        ("{}", "{route: {}}", "route", "unknown key services.x-simctl.route"),
        ("{}", "{routes: [back]}", "[back]", "expected routes: a map of networks to nodes"),
        ("{}", "{routes: {bak: one}}", "bak", "there is no network bak to route to"),
        ("{}", "{routes: {front: one}}", "front: one}}", "client is on the network front itself"),
        ("{}", "{routes: {back: nine}}", "nine", "there is no other node nine"),
        ("{}", "{routes: {back: client}}", "client}}", "there is no other node client"),
        ("{}", "{routes: {back: server}}", "server}}", "client and server share no network"),
    ],
)
def test_one_message_where_it_is_wrong(tmp_path: Path, top: str, client: str, at: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, top, client)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.place is not None
    lines = FILE.format(top=top, client=client).splitlines()
    line = 1 if top != "{}" else 3
    assert (problem.place.line, problem.place.column) == (line, lines[line - 1].index(at) + 1)
