"""The steps about programs in a virtual machine: reload, signal and exec do there what they do elsewhere; and what a
machine cannot give a node is refused in the same words, before a guest is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.vanishing import events_of, passed, write

pytestmark = [pytest.mark.vm, pytest.mark.slow]

PROXY = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  proxy:
    image: simctl/nginx
    environment: {UPSTREAM: "server:8080", KEEPALIVE_TIMEOUT: 60s}
    networks: [lab]
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 1h}
    networks: [lab]
networks: {lab: {internal: true}}
"""
GET = '{from: client, url: "http://proxy:8080/", session: pool}'


@pytest.mark.timeout(300)
def test_a_reload_a_signal_and_a_command(simctl: Simctl, tmp_path: Path) -> None:
    """A reload lets go of idle connections and shortens the timer of those that come; SIGQUIT ends nginx."""
    scenario = write(
        tmp_path,
        PROXY,
        [
            f"{{name: load, request: {GET}}}",
            "{name: shorter, reload: {node: proxy, set: {KEEPALIVE_TIMEOUT: 2s}}}",
            "{name: settle, wait: 1s}",
            f"{{name: again, request: {GET}}}",
            "{name: idle, wait: 4s}",
            '{name: look, exec: {node: client, command: [sh, -c, "ss -tan; exit 3"], expect_status: 3}}',
            "{name: drain, signal: {node: proxy, signal: QUIT}}",
            "{name: over, wait: 2s}",
            '{name: refused, request: {from: client, url: "http://proxy:8080/"}}',
        ],
        [
            "{that: the new timer counts, at: idle.end, client: {CLOSE_WAIT: 1}}",
            "{that: nobody listens, over: refused.start .. refused.end, client: {errors: {ConnectionRefusedError: 1}}}",
        ],
    )
    done = simctl("run", scenario, "-r", "vm", "--allow-exec", "-o", tmp_path / "runs", "--format", "json", timeout=280)
    passed(done)
    (made,) = (tmp_path / "runs").iterdir()
    assert "CLOSE-WAIT" in (made / "logs" / "exec-look-client.txt").read_text()
    what = [event["what"] for event in events_of(tmp_path / "runs") if event["ev"] == "node"]
    assert [one for one in what if one in ("reloaded", "exec", "signal QUIT")] == ["reloaded", "exec", "signal QUIT"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("net.netfilter.nf_conntrack_max: 8", "is one of the whole machine, not of a node's network"),
        ("net.ipv4.tcp_fin_timeut: 8", "there is no kernel setting net.ipv4.tcp_fin_timeut of a network"),
    ],
)
def test_a_setting_that_no_node_can_have_is_refused(simctl: Simctl, tmp_path: Path, setting: str, says: str) -> None:
    topology = PROXY.replace("  server:\n", f"  server:\n    sysctls: {{{setting}}}\n")
    scenario = write(tmp_path, topology, [f"{{name: load, request: {GET}}}"])
    done = simctl("run", scenario, "-r", "vm", "-o", tmp_path / "runs", "--format", "json", timeout=100)
    assert done.returncode == 2
    assert says in done.stderr
    assert "compose.yaml:8:" in done.stderr
    assert not list((tmp_path / "runs").glob("*")), "nothing was started"
