"""The steps drop, reject, partition, mtu and heal: what becomes of packets, and what is told of it. Real kernels."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.observe.abilities import try_faults
from orchestrator.system.linux import descendants
from tests.cli.test_lifecycle import await_gone, network_namespaces
from tests.conftest import Simctl
from tests.support.live import await_line, started
from tests.support.reports import in_short
from tests.support.vanishing import events_of, passed, write

GET = '{from: client, url: "http://server:8080/", session: pool}'
ONCE = '{from: client, url: "http://server:8080/"}'

PAIR = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 300ms}
    networks: [lab]
networks: {lab: {internal: true}}
"""


RUNTIMES = [
    pytest.param("netns", marks=pytest.mark.netns),
    pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("origin", "requests")]),
]


def run(
    simctl: Simctl, folder: Path, topology: str, *steps: str, expect: tuple[str, ...] = (), runtime: str = "netns"
) -> list[dict[str, Any]]:
    """The lines of the recording of a run whose expectations hold and whose trace is believed."""
    scenario = write(folder, topology, [f"{{{step}}}" for step in steps], [f"{{{one}}}" for one in expect])
    report = json.loads(
        simctl("run", scenario, "-r", runtime, "-o", folder / "runs", "--format", "json", timeout=60).stdout
    )
    assert report["outcome"] in ("pass", "none"), in_short(report)
    assert not any("disagree" in note for note in report["notes"]), report["notes"]
    return events_of(folder / "runs")


def taken(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Sender, step and flags of each packet that was taken."""
    return [(e["node"], e["step"], e.get("flags", e["protocol"])) for e in events if e["ev"] == "filtered"]


def ladder(simctl: Simctl, folder: Path, connection: str = "c1") -> str:
    (made,) = (folder / "runs").iterdir()
    done = simctl("show", made, "--conn", connection)
    assert done.returncode == 0, done.stderr
    return " ".join(word for word in done.stdout.replace("│", " ").replace("┃", " ").split())


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.timeout(150)
def test_a_fin_is_recorded_as_sent_and_told_as_lost(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """The first two; the third comes through."""
    events = run(
        simctl,
        tmp_path,
        PAIR,
        "name: eat, drop: {from: server, to: client, flags: FIN, port: 8080, nth: [1, 2]}",
        f"name: load, request: {GET}",
        "name: idle, wait: 2s",
        expect=("that: it came at last, at: end, client: {CLOSE_WAIT: 1}, server: {FIN_WAIT2: 1, retransmits: 2..3}",),
        runtime=runtime,
    )
    lost = [e for e in events if e["ev"] == "filtered"]
    assert taken(events) == [("server", "eat", "F.")] * 2
    sent = [e for e in events if e["ev"] == "segment" and "F" in e["flags"]]
    assert len(sent) == 3, "what is lost was sent"
    for segment, packet in zip(sent, lost, strict=False):
        assert (segment["seq"], segment["local"]) == (packet["seq"], packet["local"])
        assert 0 <= packet["t"] - segment["t"] < 0.1
    told = ladder(simctl, tmp_path)
    assert "FIN that was lost at first" in told
    assert told.count("lost to step eat") == 2
    assert "waits behind" not in told


@pytest.mark.netns
def test_each_kind_of_segment(simctl: Simctl, tmp_path: Path) -> None:
    """A SYN costs a second, data a retransmission; what is healed passes again."""
    events = run(
        simctl,
        tmp_path,
        PAIR.replace("300ms", "1h"),
        "name: syn, drop: {to: server, flags: SYN, nth: 1}",
        "name: answer, drop: {from: server, flags: SYN+ACK, nth: 1}",
        "name: data, drop: {from: client, flags: data, nth: 1}",
        "name: acks, drop: {from: client, flags: ACK, nth: 2}",
        f"name: load, request: {GET}",
        "name: rst, drop: {from: client, flags: RST}",
        "name: healed, heal: data",
        f"name: again, request: {GET}",
        expect=(
            "that: a SYN takes its time, over: load.start .. load.end, client: {requests: 1, errors: 0}",
            "that: the rest is quick, over: again.start .. again.end, client: {requests: 1, retransmits: 0}",
        ),
    )
    by_step = {step: (node, flags) for node, step, flags in taken(events)}
    assert by_step.pop("acks", ("client", "."))[1] == "."
    assert by_step == {"syn": ("client", "S"), "answer": ("server", "S."), "data": ("client", "P.")}
    told = ladder(simctl, tmp_path)
    for step in ("syn", "answer", "data"):
        assert f"lost to step {step}" in told


@pytest.mark.netns
def test_dice_fall_the_same_way_each_time(simctl: Simctl, tmp_path: Path) -> None:
    """Ten SYNs, one after the other: which of them are refused is decided by the seed."""
    refused: list[list[int | None]] = []
    for seed in (7, 7, 8):
        folder = tmp_path / f"{len(refused)}"
        folder.mkdir()
        events = run(
            simctl,
            folder,
            PAIR,
            f"name: dice, reject: {{to: server, flags: SYN, probability: 50%, seed: {seed}}}",
            f"name: load, request: {{{ONCE[1:-1]}, count: 10}}",
        )
        outcomes = [event["status"] for event in events if event["ev"] == "request"]
        assert len(outcomes) == 10
        refused.append(outcomes)
    assert refused[0] == refused[1] != refused[2]
    assert set(refused[0]) == {200, None}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.timeout(150)
def test_who_is_refused_is_told_and_by_whom(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """A RST of a rule is in no counter: the trace is believed, and nobody says that the server sent it."""
    events = run(
        simctl,
        tmp_path,
        PAIR.replace("300ms", "1h"),
        f"name: load, request: {GET}",
        "name: refuse, reject: {to: server, port: 8080}",
        f"name: old, request: {GET}",
        f"name: new, request: {ONCE}",
        "name: over, heal: refuse",
        "name: icmp, reject: {to: server, protocol: tcp, with: host-unreachable}",
        f"name: told, request: {ONCE}",
        expect=(
            "that: an open one is reset, over: old.start .. old.end, client: {errors: {ConnectionResetError: 1}}",
            "that: a new one is refused, over: new.start .. new.end, client: {errors: {ConnectionRefusedError: 1}}",
            "that: by ICMP too, over: told.start .. told.end, client: {errors: {EHOSTUNREACH: 1}}",
            "that: the server knows of nothing, server: {resets: 0, served: 1}",
            "that: its half is left, at: end, server: {ESTABLISHED: 1}, client: {ESTABLISHED: 0}",
        ),
        runtime=runtime,
    )
    assert [e["verdict"] for e in events if e["ev"] == "filtered" and "S" in e["flags"]] == [
        "reset",
        "host-unreachable",
    ]
    assert "packet filter reset the connection" in ladder(simctl, tmp_path)
    assert "never established: step refuse refused the SYN" in ladder(simctl, tmp_path, "c2")
    told = ladder(simctl, tmp_path, "c3")
    assert "ended by the ICMP message of step icmp" in told
    assert "no answer came" not in told


@pytest.mark.netns
def test_a_partition_cuts_two_nodes_and_nobody_else(simctl: Simctl, tmp_path: Path) -> None:
    topology = PAIR.replace("  server:", "  other: {image: simctl/origin, networks: [lab]}\n  server:")
    here, there = (f'{{from: client, url: "http://{name}:8080/", timeout: 300ms}}' for name in ("server", "other"))
    events = run(
        simctl,
        tmp_path,
        topology,
        "name: split, partition: {between: [client, server]}",
        f"name: cut, request: {here}",
        f"name: open, request: {there}",
        "name: joined, heal: split",
        f"name: again, request: {here}",
        expect=(
            "that: one is gone, over: cut.start .. cut.end, client: {requests: 1, errors: 1}, server: {connections: 0}",
            "that: the other not, over: open.start .. open.end, client: {requests: 1, errors: 0}, other: {served: 1}",
            "that: it comes back, over: again.start .. again.end, client: {requests: 1, errors: 0}",
        ),
    )
    assert {(node, step) for node, step, _ in taken(events)} == {("client", "split")}


NAT = """\
services:
  client: {image: simctl/requests, networks: [front]}
  nat:
    image: simctl/nat
    environment: {UPSTREAM: "server:8080"}
    cap_add: [NET_ADMIN]
    sysctls: {net.ipv4.ip_forward: 1}
    networks: [front, back]
  server: {image: simctl/origin, networks: [back]}
networks: {front: {internal: true}, back: {internal: true}}
"""


@pytest.mark.kinds("nat")
@pytest.mark.netns
def test_the_black_hole_of_a_narrow_link_without_icmp(simctl: Simctl, tmp_path: Path) -> None:
    """Small responses pass, large ones vanish; with ICMP the sender learns how large a packet may be."""
    small, large = (f'"http://nat:8080{path}", timeout: 500ms' for path in ("/", "/bytes/20000"))
    events = run(
        simctl,
        tmp_path,
        NAT,
        "name: narrow, mtu: {node: nat, network: front, bytes: 1000}",
        "name: hole, drop: {from: nat, to: server, protocol: icmp}",
        f"name: small, request: {{from: client, url: {small}}}",
        f"name: large, request: {{from: client, url: {large}}}",
        "name: through, heal: hole",
        f"name: told, request: {{from: client, url: {large}}}",
        "name: wide, heal: narrow",
        expect=(
            "that: small ones pass, over: small.start .. small.end, client: {requests: 1, errors: 0}",
            "that: large ones do not, over: large.start .. large.end, client: {errors: {ReadTimeout: 1}}",
            "that: with ICMP they do, over: told.start .. told.end, client: {requests: 1, errors: 0}",
        ),
    )
    assert {("nat", "hole", "icmp")} == set(taken(events))


@pytest.mark.netns
def test_for_some_time(simctl: Simctl, tmp_path: Path) -> None:
    """The step lasts as long, and the fault is over when it ends."""
    events = run(
        simctl,
        tmp_path,
        PAIR,
        "name: cut, drop: {to: server, flags: SYN, for: 200ms}",
        f"name: load, request: {GET}",
        expect=("that: all is well, client: {requests: 1, errors: 0, retransmits: 0}",),
    )
    happened = [e["what"] for e in events if e["ev"] == "node" and "drop" in e["what"]]
    assert happened == ["drop", "drop over"]
    assert taken(events) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.netns
def test_nothing_is_left_of_a_fault_that_is_broken_off(tmp_path: Path, how: signal.Signals) -> None:
    """All of it is in namespaces of the lab, which are gone then: this machine's own never had any."""
    scenario = write(
        tmp_path,
        PAIR,
        [
            "{name: narrow, mtu: {node: server, bytes: 1000}}",
            "{name: eat, drop: {from: server, flags: FIN}}",
            "{name: hold, reject: {to: server, for: 1h}}",
        ],
    )
    with started(tmp_path, scenario=scenario) as process:
        await_line(process, "hold:")
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        assert "simctl" not in tables
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        assert len(namespaces) >= 3, "two nodes and the fabric"
        process.send_signal(how)
        process.wait(60)
        await_gone(family, namespaces)


@pytest.mark.netns
def test_what_the_kernel_cannot_do_is_refused_before_anything_starts(simctl: Simctl, tmp_path: Path) -> None:
    slow = "{name: slow, impair: {to: server, delay: 300ms}}"
    scenario = write(
        tmp_path,
        PAIR,
        [slow, f"{{name: load, request: {GET}}}"],
        ["{that: it was slow, over: load.start .. load.end, client: {requests: 1, errors: 0}}"],
    )
    done = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "--format", "json")
    if try_faults(["netem"], user_namespace=False).outcome()["netem"] is None:
        passed(done)
        return
    assert done.returncode == 3
    assert "the step slow needs netem, which this machine does not have" in done.stderr
    assert "--runtime vm" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").glob("*")), "nothing was started"


@pytest.mark.slow
@pytest.mark.netns
def test_what_both_ends_believe_of_a_fin_that_never_arrives(simctl: Simctl, tmp_path: Path) -> None:
    """The bundled story."""
    passed(simctl("run", "fin-lost", "-r", "netns", "-o", tmp_path / "runs", "--format", "json", timeout=60))
    told = ladder(simctl, tmp_path)
    assert "FIN from server to client: dropped from now on" in told
    assert "FIN that never arrived" in told
    assert "gives up: no FIN of it was acknowledged" in told
