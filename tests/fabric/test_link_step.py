"""The step `link`: a node vanishes, and nobody may notice but TCP's own timers. Real kernels, each runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.vanishing import GET, events_of, pair, passed, write


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=pytest.mark.netns),
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("origin", "requests")]),
    ],
)
@pytest.mark.timeout(150)
def test_a_sender_gives_up_after_its_retries(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """The bundled story; and its ladder tells who vanished, and when."""
    passed(simctl("run", "peer-vanishes-soon", "-r", runtime, "-o", tmp_path / "runs", "--format", "json", timeout=120))
    (run,) = (tmp_path / "runs").iterdir()
    links = [event for event in events_of(tmp_path / "runs") if event["ev"] == "node" and "link" in event["what"]]
    assert [(event["node"], event["what"]) for event in links] == [("server", "link down"), ("server", "link up")]
    ladder = simctl("show", run)
    assert ladder.returncode == 0, ladder.stderr
    assert "server is cut off" in ladder.stdout
    timers = (run / "ss" / "lost.end" / "server.ss.txt").read_text()
    assert "ESTAB" in timers, "the server was told nothing"


@pytest.mark.netns
def test_neither_arp_nor_the_sender_s_own_queue_notices(simctl: Simctl, tmp_path: Path) -> None:
    """With entries that ARP confirms every moment: the error is that of TCP, and its timer retransmits."""
    scenario = write(
        tmp_path,
        pair("net.ipv4.tcp_retries2: 2"),
        [
            f"{{name: load, request: {GET}}}",
            "{name: idle, wait: 1s}",
            "{name: vanish, link: {node: server, up: false}}",
            f"{{name: lost, request: {GET[:-1]}, timeout: 1m}}}}",
        ],
        ["{that: TCP gives up, over: lost.start .. lost.end, client: {errors: {ETIMEDOUT: 1}}}"],
    )
    passed(simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "--format", "json"))
    waiting = [
        event["timer"]
        for event in events_of(tmp_path / "runs")
        if event["ev"] == "socket" and event["node"] == "client" and event.get("send_q")
    ]
    assert set(waiting) == {"on"}, "persist: the drop was told to the sender"


@pytest.mark.netns
def test_who_has_never_met_the_node_waits_for_syn_retries(simctl: Simctl, tmp_path: Path) -> None:
    """There is no neighbour entry yet: EHOSTUNREACH is what a failing ARP would give."""
    scenario = write(
        tmp_path,
        pair("net.ipv4.tcp_syn_retries: 1"),
        ["{name: vanish, link: {node: server, up: false}}", f"{{name: lost, request: {GET[:-1]}, timeout: 1m}}}}"],
        ["{that: the kernel gives up, client: {errors: {ETIMEDOUT: 1}}, server: {connections: 0}}"],
    )
    passed(simctl("run", scenario, "-r", "netns", "--format", "json"))


@pytest.mark.netns
@pytest.mark.parametrize(("asks", "vanishes"), [("server", "client"), ("client", "server")])
def test_keepalive_notices_and_only_where_it_is_on(simctl: Simctl, tmp_path: Path, asks: str, vanishes: str) -> None:
    """The bundled keepalive-probes in seconds, from either side; the same knob in both kinds."""
    sysctls = [f"net.ipv4.tcp_keepalive_{name}: {value}" for name, value in (("time", 1), ("intvl", 1), ("probes", 1))]
    told = ", closed_by: {error: 1}" if asks == "server" else ""
    scenario = write(
        tmp_path,
        pair(*sysctls, client="on" if asks == "client" else "off", server="on" if asks == "server" else "off"),
        [
            f"{{name: load, request: {GET}}}",
            "{name: answered, wait: 3s}",
            f"{{name: vanish, link: {{node: {vanishes}, up: false}}}}",
            "{name: asked, wait: 6s}",
        ],
        [
            "{that: as long as probes are answered both stay, always: load.end .. vanish.end,"
            " client: {ESTABLISHED: 1}, server: {ESTABLISHED: 1}}",
            f"{{that: who asks is told, at: end, {asks}: {{ESTABLISHED: 0, others: 0{told}}},"
            f" {vanishes}: {{ESTABLISHED: 1}}}}",
        ],
    )
    passed(simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "--format", "json"))
    timers = {
        event["node"]
        for event in events_of(tmp_path / "runs")
        if event["ev"] == "socket" and event.get("timer") == "keepalive"
    }
    assert timers == {asks}


@pytest.mark.netns
def test_rootless(tmp_path: Path) -> None:
    """As an ordinary user: uid 1000 without any capability, in a user namespace as `unshare` makes it."""
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator", "run"]
    argv += ["peer-vanishes-soon", "-r", "netns", "-o", str(tmp_path / "runs"), "--format", "json"]
    passed(subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False))
