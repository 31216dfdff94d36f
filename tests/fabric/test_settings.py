"""A topology's `sysctls` are looked at before anything starts: by their names, and by the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.fabric.settingnames import OF_MACHINES, OF_NODES
from orchestrator.fabric.settings import check_kernel, check_names
from orchestrator.fabric.sysctls import PINNED
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.model import Topology
from tests.conftest import Simctl


def topology(folder: Path, *sysctls: str) -> Topology:
    lines = "".join(f"      {line}\n" for line in sysctls)
    path = folder / "lab.yaml"
    path.write_text(
        f"services:\n  server:\n    image: simctl/origin\n    networks: [lab]\n    sysctls:\n{lines}"
        "networks: {lab: {internal: true}}\n"
    )
    return load_topology(path, {}, kinds=["origin"])


@pytest.mark.parametrize(
    ("setting", "column", "says", "hint"),
    [
        ("net.ipv4.tcp_max_orphans: 5", 33, "is one of the whole machine", "what all nodes share"),
        ("net.core.netdev_max_backlog: 5", 36, "is one of the whole machine", "what all nodes share"),
        ("net.ipv4.tcp_fin_timout: 5", 32, "there is no kernel setting", "did you mean net.ipv4.tcp_fin_timeout?"),
        ("net.nonsense: 5", 21, "there is no kernel setting", ""),
        ("net.ipv4.conf.eth1.rp_filter: 0", 37, "server has no interface eth1", "it has lo, eth0; also all, default"),
    ],
)
def test_a_name_that_no_node_can_have(tmp_path: Path, setting: str, column: int, says: str, hint: str) -> None:
    with pytest.raises(InputError) as told:
        check_names(topology(tmp_path, "net.ipv4.tcp_retries2: 3", setting))
    assert (told.value.place.line, told.value.place.column) == (7, column) if told.value.place else False
    assert says in told.value.message
    assert hint in (told.value.hint or "")


def test_names_that_nodes_have(tmp_path: Path) -> None:
    check_names(
        topology(
            tmp_path,
            "net.ipv4.tcp_fin_timeout: 3",
            "net.ipv4.conf.all.rp_filter: 0",
            "net.ipv4.neigh.eth0.base_reachable_time_ms: 200",
            "net.core.somaxconn: 4",
        )
    )


def test_what_is_pinned_is_of_nodes() -> None:
    assert {name.replace(".all.", ".*.") for name in PINNED} <= OF_NODES
    assert not OF_NODES & OF_MACHINES


@pytest.mark.netns
def test_the_kernel_itself_says_which_values_it_takes(tmp_path: Path) -> None:
    check_kernel(topology(tmp_path, "net.ipv4.tcp_fin_timeout: 3", "net.ipv4.neigh.eth0.base_reachable_time_ms: 200"))
    with pytest.raises(InputError) as told:
        check_kernel(topology(tmp_path, "net.ipv4.tcp_fin_timeout: soon", "net.ipv4.ip_local_port_range: 5 4 3 2"))
    first, second = told.value.problems
    assert first.message == "the kernel does not take soon for net.ipv4.tcp_fin_timeout: Invalid argument"
    assert first.place is not None and (first.place.line, first.place.column) == (6, 33)
    assert second.place is not None and second.place.line == 7


@pytest.mark.netns
def test_the_trial_is_nobody_s_network(tmp_path: Path) -> None:
    before = Path("/proc/sys/net/ipv4/tcp_fin_timeout").read_text()
    check_kernel(topology(tmp_path, "net.ipv4.tcp_fin_timeout: 3"))
    assert Path("/proc/sys/net/ipv4/tcp_fin_timeout").read_text() == before


@pytest.mark.netns
def test_nothing_starts(simctl: Simctl, tmp_path: Path) -> None:
    topology(tmp_path, "net.ipv4.tcp_fin_timeout: soon")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("name: x\ntopology: lab.yaml\nsteps: [{wait: 1s}]\nexpect: [{that: x, server: {LISTEN: 1}}]\n")
    done = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs")
    assert done.returncode == 2
    assert "lab.yaml:6:33: the kernel does not take soon for net.ipv4.tcp_fin_timeout" in done.stderr
    assert not (tmp_path / "runs").exists()
