"""The node kind nat: a port or a network behind it, what it does with what it has forgotten, and what is told of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.fabric.interface import Interface
from orchestrator.fabric.routes import Route, routes
from orchestrator.kinds.registry import kind
from orchestrator.system.resources import NODES
from tests.conftest import Simctl
from tests.support.reports import in_short

sys.path.insert(0, str(NODES / "base"))
sys.path.insert(0, str(NODES / "nat"))
import rules
from knobs import KnobError, Knobs

RUN = NODES / "nat" / "run.py"

TOPOLOGY = """\
services:
  client: {{image: simctl/requests, networks: [front]}}
  nat:
    image: simctl/nat
    environment: {environment}
    sysctls: {{net.ipv4.ip_forward: {forward}}}
    networks: [front, back]
  server: {{image: simctl/origin, environment: {{KEEPALIVE_TIMEOUT: {patience}, HTTP_PORT: 9090}}, networks: [back]}}
networks: {{front: {{internal: true}}, back: {{internal: true}}}}
"""

FORGETTING = """\
  - {{name: load, request: {{from: client, url: "{url}", session: pool}}}}
  - {{name: idle, wait: 1300ms}}
  - {{name: lost, request: {{from: client, url: "{url}", session: pool, timeout: 700ms}}}}
"""


def write(
    folder: Path, steps: str, url: str, knobs: Mapping[str, str], expect: Sequence[str] = (), *, forward: int = 1
) -> Path:
    """A scenario in a folder of its own, `{url}` in `steps` being the client's URL; returns its path."""
    folder.mkdir()
    patience = "1500ms" if steps is TRAFFIC else "60s"  # the server's; it closes while the traffic's client is idle
    environment = "{" + ", ".join(f'{name}: "{value}"' for name, value in knobs.items()) + "}"
    (folder / "compose.yaml").write_text(TOPOLOGY.format(environment=environment, forward=forward, patience=patience))
    lines = [f"name: {folder.name}", "topology: compose.yaml", "steps:", steps.format(url=url).rstrip()]
    lines += ["expect:", *(f"  - {one}" for one in expect)] if expect else []
    (folder / "scenario.yaml").write_text("\n".join(lines) + "\n")
    return folder / "scenario.yaml"


def reports(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """By scenario; every one has passed."""
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    for report in found:
        assert report["outcome"] == "pass", (report["scenario"], in_short(report))
    assert done.returncode == 0, done.stderr
    return {report["scenario"]: report for report in found}


NO_SOCKET = "{that: the NAT has no socket, nat: {ESTABLISHED: 0, others: 0, connections: 0}}"
DROPPED = "{that: it is dropped, client: {errors: {ReadTimeout: 1}, retransmits: 1.., FIN_WAIT1: 1}, nat: {resets: 0}}"
RESET = "{that: it is reset, client: {errors: {ConnectionResetError: 1}, retransmits: 0, others: 0}}"
BY_NAT = "{that: by the NAT, nat: {resets: 1, first_fin: 1}, server: {resets: 0, first_fin: 0}}"
UNTOLD = "{that: the server is not told, at: lost.start, server: {ESTABLISHED: 1, others: 0}}"

TRAFFIC = """\
  - {{name: churn, request: {{from: client, url: "{url}", count: 40, concurrency: 4}}}}
  - {{name: pool, request: {{from: client, url: "{url}", session: pool, count: 2}}}}
  - {{name: idle, wait: 2s}}
  - {{name: leave, close: {{from: client, session: pool}}}}
  - {{name: after, wait: 300ms}}
"""


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_with_a_trace(simctl: Simctl, tmp_path: Path, as_root: None) -> None:
    """Both ends of every connection are joined; what the NAT has forgotten is dropped or reset, and it is named."""
    service, short = {"UPSTREAM": "server:9090", "HTTP_PORT": "80"}, {"CONNTRACK_ESTABLISHED": "1s"}
    url, beyond = "http://nat/", "http://server:9090/"
    resets = short | {"ON_UNKNOWN": "reset"}
    landed = "{that: TIME_WAIT is where it belongs, client: {TIME_WAIT: 40}, server: {TIME_WAIT: 1}}"
    scenarios = [
        write(tmp_path / "drop", FORGETTING, url, service | short, [NO_SOCKET, DROPPED, UNTOLD]),
        write(tmp_path / "reset", FORGETTING, url, service | resets, [NO_SOCKET, RESET, BY_NAT, UNTOLD]),
        write(tmp_path / "router", FORGETTING, beyond, resets, [NO_SOCKET, RESET, BY_NAT, UNTOLD]),
        write(tmp_path / "traffic", TRAFFIC, url, service, [NO_SOCKET, landed]),
    ]
    out = tmp_path / "runs"
    done = simctl("run", *scenarios, "-r", "netns", "-o", out, "--jobs", "2", "--format", "json", timeout=100)
    found = reports(done)
    for report in found.values():
        assert not [note for note in report["notes"] if "samples" in note], "the trace was believed"
        assert [one["via"] for one in report["connections"]] == [["nat"]] * len(report["connections"])
        assert all(one["client"] and one["server"] for one in report["connections"])
        assert all(one["server"]["local"].endswith(":9090") for one in report["connections"])
    assert Counter(one["first_closer"] for one in found["traffic"]["connections"]) == {"client": 40, "server": 1}
    assert found["traffic"]["connections"][-1]["requests"] == 2
    for name in ("reset", "router"):
        assert [one["first_closer"] for one in found[name]["connections"]] == ["nat"]
    story = "1 connection client -> server:9090 through nat: nat had forgotten it; nat closed first (RST)"
    assert found["router"]["story"][0].startswith(story)

    (run,) = out.glob("*-reset")
    ladder = json.loads(simctl("show", run, "--format", "json").stdout)
    assert [row["by"] for row in ladder["rows"] if row["text"] == "RST"] == ["nat"]
    assert "nat has forgotten the connection" in [row["text"] for row in ladder["rows"]]
    assert "RST by nat" in simctl("show", run).stdout


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_rootless(tmp_path: Path) -> None:
    """In a user namespace the kind may make its rules too, and samples are joined through what conntrack told."""
    service = {"UPSTREAM": "server:9090", "CONNTRACK_ESTABLISHED": "1s", "ON_UNKNOWN": "reset"}
    forgets = write(tmp_path / "reset", FORGETTING, "http://nat:8080/", service, [NO_SOCKET, RESET, UNTOLD])
    traffic = write(tmp_path / "traffic", TRAFFIC, "http://nat:8080/", {"UPSTREAM": "server:9090"}, [NO_SOCKET])
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator", "run"]
    argv += [str(forgets), str(traffic), "-r", "netns", "-o", str(tmp_path / "runs"), "--jobs", "2", "--format", "json"]
    found = reports(subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False))
    for report in found.values():
        assert {(one["client_node"], one["server_node"], *one["via"]) for one in report["connections"]} == {
            ("client", "server", "nat")
        }
    assert len(found["traffic"]["connections"]) == 41


# -- the bundled stories -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=pytest.mark.netns),
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("nat", "origin", "requests")]),
    ],
)
def test_stories(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    names = ("nat-forgets", "nat-resets")
    arguments = ("-r", runtime, "-o", tmp_path, "--jobs", "2", "--format", "json")
    found = reports(simctl("run", *names, *arguments, timeout=180))
    assert set(found) == set(names)
    for report in found.values():
        assert [one["via"] for one in report["connections"]] == [["nat"], ["nat"]]


# -- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_a_nat_that_does_not_forward(simctl: Simctl, tmp_path: Path) -> None:
    scenario = write(tmp_path / "bad", FORGETTING, "http://nat:8080/", {"UPSTREAM": "server:9090"}, forward=0)
    done = simctl("run", scenario, "-r", "netns")
    assert done.returncode not in (0, 1)
    assert "nat: this node does not forward: set `sysctls: {net.ipv4.ip_forward: 1}`" in done.stderr


@pytest.mark.netns
def test_a_kernel_that_takes_no_rules_is_told_in_its_own_words(as_root: None) -> None:
    """Without the capability, as on a kernel without nf_tables, nft says what it lacks."""
    setpriv = shutil.which("setpriv")
    assert setpriv
    script = f"echo 1 > /proc/sys/net/ipv4/ip_forward; exec {setpriv} --bounding-set=-net_admin {sys.executable} {RUN}"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Operation not permitted" in done.stderr
    assert "nat: the kernel did not take these rules" in done.stderr.splitlines()[-1]


def test_the_defaults_of_node_yaml_are_its_own() -> None:
    defaults = {name: knob.default for name, knob in kind("nat").knobs.items()}
    assert rules.rules(Knobs(defaults), "x") == rules.rules(Knobs({}), "x")
    for name in defaults:
        assert f'"{name}"' in Path(rules.__file__).read_text()


def test_targets_in_turn_ports_of_its_own_and_a_table_of_so_many() -> None:
    text = rules.rules(
        Knobs({"UPSTREAM": "127.0.0.1:1,127.0.0.2:2", "SOURCE_PORTS": "40000-40001", "CONNTRACK_MAX": "8"}), "x"
    )
    assert "dnat ip to numgen inc mod 2 map { 0 : 127.0.0.1 . 1, 1 : 127.0.0.2 . 2 }" in text
    assert "size 8;" in text
    assert text.count("masquerade to :4000") == 2
    assert "masquerade" not in rules.rules(Knobs({"MASQUERADE": "false"}), "x")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"UPSTREAM": "no-such-node:80"}, "UPSTREAM: no-such-node has no IPv4 address here"),
        ({"UPSTREAM": "server"}, "expected host:port"),
        ({"ON_UNKNOWN": "ignore"}, "expected drop or reset or pick-up"),
        ({"CONNTRACK_ESTABLISHED": "1500ms"}, "whole seconds"),
        ({"CONNTRACK_CLOSE_WAIT": "0"}, "whole seconds"),
        ({"HTTP_PORT": "0"}, "from 1 to 65535"),
        ({"SOURCE_PORTS": "5"}, "a range of ports such as"),
        ({"SOURCE_PORTS": "9-8"}, "a range of ports such as"),
        ({"SOURCE_PORTS": "1-2000"}, "2000 ports are more than the 1024"),
        ({"CONNTRACK_MAX": "0"}, "from 1 to 65536"),
        ({"MASQUERADE": "false", "CONNTRACK_MAX": "1"}, "are for MASQUERADE: true"),
    ],
)
def test_a_knob_that_is_wrong(knobs: dict[str, str], message: str) -> None:
    with pytest.raises(KnobError, match=message):
        rules.rules(Knobs(knobs), "x")


# -- routes ------------------------------------------------------------------------------------------------------


def legs(**networks: str) -> tuple[Interface, ...]:
    """`a="1"`: a leg with the address 1 in the network a."""
    return tuple(Interface(f"eth{number}", *one, 24) for number, one in enumerate(networks.items()))


CHAIN = {
    "client": legs(a="a1"),
    "near": legs(a="a2", b="b2"),
    "far": legs(b="b3", c="c3"),
    "server": legs(c="c4"),
}


def test_routes_lead_through_routers_by_the_next_one() -> None:
    assert routes(CHAIN, {"near", "far"}) == {
        "client": (Route("b", "a2"), Route("c", "a2")),
        "near": (Route("c", "b3"),),
        "far": (Route("a", "b2"),),
        "server": (Route("b", "c3"), Route("a", "c3")),
    }


def test_who_forwards_for_nobody_is_no_way() -> None:
    assert routes(CHAIN, set()) == {}
    assert routes(CHAIN, {"near"}) == {"client": (Route("b", "a2"),), "far": (Route("a", "b2"),)}


def test_the_shortest_way_is_taken() -> None:
    direct = CHAIN | {"short": legs(a="a9", c="c9")}
    assert Route("c", "a9") in routes(direct, {"near", "far", "short"})["client"]


@pytest.mark.netns
@pytest.mark.slow
def test_what_a_nat_dropped_for_want_of_a_place_is_told(simctl: Simctl, as_root: None) -> None:
    """By a counter of its own rules: the kernel has none for that, and the client's connect timeout names nobody."""
    done = simctl("run", "conntrack-full", "-r", "netns", "--format", "json", "-q")
    story = json.loads(done.stdout)["story"]
    told = "nat dropped 3 segments: no place for the first segment of a flow: its table of 8 was full, as it says"
    assert told in story, story
