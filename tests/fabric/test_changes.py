"""The steps move, hosts, flush and destroy, the limits of a nat, routes of a node's own, networks that are cut apart:
what becomes of connections, and what is told of it. Real kernels, each runtime."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system.linux import descendants
from tests.cli.test_lifecycle import await_gone, network_namespaces
from tests.conftest import Simctl
from tests.support.live import await_line, started
from tests.support.reports import in_short
from tests.support.vanishing import events_of, write

STORIES = ("address-moves", "nat-flushed", "conntrack-full", "asymmetric-route", "mtu-black-hole", "port-exhaustion")
"""The bundled ones, in 3 to 12 s each."""

SERVERS = """\
x-simctl: {addresses: {vip: {network: lab, node: one}}}
services:
  client: {image: simctl/requests, networks: [lab]}
  one: {image: simctl/origin, networks: [lab]}
  two: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""

NAT = """\
services:
  client: {image: simctl/requests, networks: [front]}
  nat:
    image: simctl/nat
    environment: {UPSTREAM: "one:8080,two:8080", SOURCE_PORTS: 40000-40003, CONNTRACK_TIME_WAIT: 1s}
    sysctls: {net.ipv4.ip_forward: 1}
    networks: [front, back]
  one: {image: simctl/origin, networks: [back]}
  two: {image: simctl/origin, networks: [back]}
networks: {front: {internal: true}, back: {internal: true}}
"""

VIP = '{from: client, url: "http://vip:8080/", session: pool, timeout: 2s}'
ONCE = '{from: client, url: "http://nat:8080/", timeout: 500ms, count: %d}'


def run(
    simctl: Simctl, folder: Path, topology: str, steps: list[str], expect: list[str], runtime: str = "netns"
) -> dict[str, Any]:
    """The report of a run whose expectations hold and whose trace is believed."""
    scenario = write(folder, topology, [f"{{{step}}}" for step in steps], [f"{{that: x, {one}}}" for one in expect])
    done = simctl("run", scenario, "-r", runtime, "-o", folder / "runs", "--format", "json", timeout=60)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["outcome"] == "pass", in_short(report)
    assert not any("disagree" in note for note in report["notes"]), report["notes"]
    return report


def ladder(simctl: Simctl, folder: Path, connection: str = "c1") -> str:
    (made,) = (folder / "runs").iterdir()
    done = simctl("show", made, "--conn", connection)
    assert done.returncode == 0, done.stderr
    return " ".join(word for word in done.stdout.replace("│", " ").replace("┃", " ").split())


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_an_address_moves_and_comes_back(simctl: Simctl, tmp_path: Path) -> None:
    """Each socket is that of the node where it was born, and the RST that of the node which has the address by now."""
    report = run(
        simctl,
        tmp_path,
        SERVERS,
        [
            f"name: load, request: {VIP}",
            "name: over, move: {address: vip, to: two}",
            f"name: lost, request: {VIP}",
            f"name: next, request: {VIP}",
            "name: back, heal: over",
            f"name: lost-again, request: {VIP}",
            f"name: last, request: {VIP}",
        ],
        [
            "over: load.start .. over.end, client: {connections: 1}, where: {peer: one}",
            "over: lost.start .. next.end, two: {served: 1, resets: 1}, one: {served: 0, resets: 0}",
            "over: back.start .. last.end, one: {served: 1, resets: 1}, two: {served: 0, resets: 0}",
            "at: end, one: {ESTABLISHED: 2}, two: {ESTABLISHED: 1}, client: {ESTABLISHED: 1}",
            "over: start .. end, client: {connections: 1}, where: {peer: two}",
        ],
    )
    assert [one["server_node"] for one in report["connections"]] == ["one", "two", "one"]
    assert [one["first_closer"] for one in report["connections"]] == ["two", "one", None]
    told = ladder(simctl, tmp_path)
    assert "two reset the connection" in told
    assert "RST by two" in told
    assert "one is no longer the node of the virtual address (vip)" in told


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_neighbours_that_are_not_told_go_on_sending_to_the_old_node(simctl: Simctl, tmp_path: Path) -> None:
    report = run(
        simctl,
        tmp_path,
        SERVERS,
        [
            f"name: load, request: {VIP}",
            "name: over, move: {address: vip, to: two, announce: false}",
            'name: lost, request: {from: client, url: "http://vip:8080/", timeout: 500ms}',
        ],
        ["over: lost.start .. lost.end, client: {errors: {ConnectTimeout: 1}}, two: {connections: 0, resets: 0}"],
    )
    assert any("never established" in sentence for sentence in report["story"])


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_names_change_and_have_several_addresses(simctl: Simctl, tmp_path: Path) -> None:
    """A client takes the next address where the first refuses; what it has connected stays."""
    api = '{from: client, url: "http://api:8080/", timeout: 2s}'
    run(
        simctl,
        tmp_path,
        SERVERS,
        [
            "name: known, hosts: {node: client, set: {api: one}}",
            f"name: first, request: {api}",
            "name: switch, hosts: {node: client, set: {api: [client, two]}}",
            f"name: second, request: {api}",
            "name: back, heal: switch",
            f"name: third, request: {api}",
            "name: nobody, hosts: {node: client, set: {api: []}}",
            f"name: fourth, request: {api}",
        ],
        [
            "over: first.start .. first.end, one: {served: 1}",
            "over: second.start .. second.end, two: {served: 1}, client: {errors: 0}",
            "over: third.start .. third.end, one: {served: 1}",
            "over: fourth.start .. fourth.end, client: {errors: {NameResolutionError: 1}}",
        ],
    )


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_in_whatever_order_steps_are_healed_the_latest_that_is_not_counts(simctl: Simctl, tmp_path: Path) -> None:
    """The name and the address are first with `one`, whose responses the last request has to get."""
    named = '{from: client, url: "http://%s:8080/", timeout: 2s}'
    report = run(
        simctl,
        tmp_path,
        SERVERS,
        [
            "name: early, at: start + 3s, drop: {to: two, flags: RST}",
            "name: none, heal: early",
            "name: name-a, hosts: {node: client, set: {x: one}}",
            "name: name-b, hosts: {node: client, set: {x: two}}",
            "name: move-a, move: {address: vip, to: two}",
            "name: move-b, move: {address: vip, to: client}",
            "heal: name-a",
            "heal: move-a",
            f"name: still-two, request: {named % 'x'}",
            "heal: name-b",
            "heal: move-b",
            f"name: unknown, request: {named % 'x'}",
            f"name: first-again, request: {named % 'vip'}",
        ],
        [
            "over: still-two.start .. still-two.end, two: {served: 1}, one: {served: 0}",
            "over: unknown.start .. unknown.end, client: {errors: {NameResolutionError: 1}}",
            "over: first-again.start .. first-again.end, one: {served: 1}",
        ],
    )
    assert any("none healed nothing: early had not yet done" in note for note in report["notes"]), report["notes"]


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_connections_are_closed_from_outside(simctl: Simctl, tmp_path: Path) -> None:
    """Who is named is the node whose kernel sent the RST."""
    report = run(
        simctl,
        tmp_path,
        SERVERS,
        [
            'name: load, request: {from: client, url: "http://one:8080/", session: pool}',
            'name: other, request: {from: client, url: "http://two:8080/", session: pool}',
            "name: none, destroy: {node: client, peer: one, port: 9}",
            "name: cut, destroy: {node: one, peer: client}",
            'name: again, request: {from: client, url: "http://one:8080/", session: pool}',
            "name: own, destroy: {node: client, port: 8080}",
        ],
        [
            "over: cut.start .. cut.end, one: {resets: 1}, client: {resets: 0}",
            "over: own.start .. own.end, client: {resets: 2}",
            "at: end, one: {ESTABLISHED: 0, others: 0}, two: {ESTABLISHED: 0}, client: {ESTABLISHED: 0}",
        ],
    )
    assert [(one["first_closer"], one["how"]) for one in report["connections"]] == [
        ("one", "RST (SOCK_DESTROY)"), ("client", "RST (SOCK_DESTROY)"), ("client", "RST (SOCK_DESTROY)"),
    ]  # fmt: skip
    assert "the step none closed nothing: client had no connections of port 9 with one" in report["notes"]
    told = ladder(simctl, tmp_path)
    assert "one is made to abort connections" in told
    assert "closed from outside" in told
    assert [one["first_close"] for one in report["connections"]] == [None] * 3, "no program did"
    counts = [e["detail"]["count"] for e in events_of(tmp_path / "runs") if e.get("what") == "destroyed"]
    assert counts == [0, 1, 2]


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_a_nat_has_ports_that_rest_and_targets_that_change(simctl: Simctl, tmp_path: Path) -> None:
    """Flow by flow to the next target, by ports of its own; each is for one flow to the same target at a time."""
    report = run(
        simctl,
        tmp_path,
        NAT,
        [
            "name: load, request: " + ONCE % 10,
            "name: rest, wait: 3s",
            'name: change, reload: {node: nat, set: {UPSTREAM: "two:8080"}}',
            "name: later, request: " + ONCE % 5,
        ],
        [
            "over: load.start .. load.end, one: {served: 4}, two: {served: 4}, client: {errors: {ConnectTimeout: 2}}",
            "over: later.start .. later.end, one: {served: 0}, two: {served: 4}, client: {errors: {ConnectTimeout: 1}}",
        ],
    )
    ports = {end["peer"].rpartition(":")[2] for one in report["connections"] if (end := one["server"]) is not None}
    assert ports == {"40000", "40001", "40002", "40003"}


BALANCED = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  lb:
    image: simctl/haproxy
    environment: {UPSTREAM: "one:8080,two:8080", MASTER: "true"}
    networks: [lab]
  one: {image: simctl/origin, networks: [lab]}
  two: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""


@pytest.mark.netns
@pytest.mark.kinds("haproxy")
@pytest.mark.timeout(60)
def test_a_server_is_taken_out_of_a_balancer_while_it_lives(simctl: Simctl, tmp_path: Path) -> None:
    get = '{from: client, url: "http://lb:8080/", count: 4}'
    run(
        simctl,
        tmp_path,
        BALANCED,
        [
            f"name: load, request: {get}",
            'name: out, reload: {node: lb, set: {UPSTREAM: "two:8080"}}',
            "name: settle, wait: 1s",
            f"name: later, request: {get}",
            'name: alive, request: {from: client, url: "http://one:8080/"}',
        ],
        [
            "over: load.start .. load.end, one: {served: 2}, two: {served: 2}",
            "over: later.start .. later.end, one: {served: 0}, two: {served: 4}, client: {errors: 0}",
            "over: alive.start .. alive.end, one: {served: 1}, client: {statuses: {200: 1}}",
        ],
    )


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_networks_are_cut_apart_where_they_meet(simctl: Simctl, tmp_path: Path) -> None:
    """The nat takes the client's SYN, and cannot pass it on; what stays on either side of it is not touched."""
    run(
        simctl,
        tmp_path,
        NAT,
        [
            "name: load, request: " + ONCE % 2,
            "name: split, partition: {between: [front, back]}",
            "name: lost, request: " + ONCE % 1,
            "name: joined, heal: split",
            "name: again, request: " + ONCE % 1,
        ],
        [
            "over: lost.start .. lost.end, client: {errors: {ConnectTimeout: 1}}",
            "over: again.start .. again.end, client: {errors: 0}",
        ],
    )
    lost = [event for event in events_of(tmp_path / "runs") if event["ev"] == "filtered"]
    assert {(event["node"], event["step"], event["flags"]) for event in lost} == {("nat", "split", "S")}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.netns
@pytest.mark.timeout(60)
def test_nothing_is_left_of_changes_that_are_broken_off(tmp_path: Path, how: signal.Signals) -> None:
    """No address, rule, route or process: all of it is in namespaces of the lab."""
    topology = NAT.replace("services:", "x-simctl: {addresses: {vip: {network: front, node: nat}}}\nservices:", 1)
    scenario = write(
        tmp_path,
        topology.replace("  one: {", "  one: {x-simctl: {routes: {front: nat}}, ", 1),
        [
            "{name: over, move: {address: vip, to: client}}",
            "{name: names, hosts: {node: client, set: {api: nat}}}",
            "{name: cut, destroy: {node: client}}",
            "{name: forget, flush: nat}",
            "{name: hold, partition: {between: [front, back], for: 1h}}",
        ],
    )
    before = addresses_and_routes()
    with started(tmp_path, scenario=scenario) as process:
        await_line(process, "hold:")
        assert addresses_and_routes() == before
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        assert "simctl" not in tables
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.send_signal(how)
        process.wait(60)
        await_gone(family, namespaces)


def addresses_and_routes() -> list[str]:
    """Of this machine's own network namespace."""
    shown = []
    for what in ("address", "route"):
        done = subprocess.run(["ip", "-o", "-4", what], capture_output=True, text=True, check=True)
        shown += [line for line in done.stdout.splitlines() if "198.18." in line]
    return shown


def assert_stories(simctl: Simctl, folder: Path, runtime: str, *names: str) -> None:
    done = simctl("run", *names, "-r", runtime, "-o", folder / "runs", "--jobs", "2", "--format", "json", timeout=200)
    assert_all_pass(done, names)


def assert_all_pass(done: subprocess.CompletedProcess[str], names: tuple[str, ...]) -> None:
    """Of a matrix each run."""
    assert done.stdout, done.stderr
    reports: list[dict[str, Any]] = json.loads(done.stdout)
    for report in reports:
        counts: dict[str, int] = report.get("outcomes") or {report["outcome"]: 1}
        assert {name for name, count in counts.items() if count} == {"pass"}, (
            report["scenario"],
            json.dumps(report, indent=1)[:20000],
        )
        assert not any("disagree" in note for note in report.get("notes", ())), report["notes"]
    assert {report["scenario"] for report in reports} == set(names)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.timeout(240)
def test_stories(simctl: Simctl, tmp_path: Path) -> None:
    assert_stories(simctl, tmp_path, "netns", *STORIES)


@pytest.mark.slow
@pytest.mark.vm
@pytest.mark.timeout(240)
def test_stories_in_virtual_time(simctl: Simctl, tmp_path: Path) -> None:
    assert_stories(simctl, tmp_path, "vm", *STORIES)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.images("nat", "origin", "requests")
@pytest.mark.timeout(240)
def test_stories_in_containers(simctl: Simctl, tmp_path: Path) -> None:
    assert_stories(simctl, tmp_path, "docker", "address-moves", "nat-flushed", "asymmetric-route")


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.timeout(240)
def test_stories_rootless(tmp_path: Path) -> None:
    """As an ordinary user: uid 1000 without any capability, in a user namespace as `unshare` makes it."""
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator", "run"]
    argv += [*STORIES, "-r", "netns", "-o", str(tmp_path / "runs"), "--jobs", "2", "--format", "json"]
    assert_all_pass(subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False), STORIES)
