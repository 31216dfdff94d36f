"""Facts about what went over the wire, of real namespaces: bytes, probes, windows, a NAT's table, durations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.reports import in_short

pytestmark = pytest.mark.netns

TOPOLOGY = """\
services:
  client:
    image: simctl/requests
    environment: {TCP_KEEPALIVE: "true"}
    sysctls: {net.ipv4.tcp_keepalive_time: 1, net.ipv4.tcp_keepalive_intvl: 1}
    networks: [front]
  nat:
    image: simctl/nat
    environment: {UPSTREAM: "server:8080"}
    sysctls: {net.ipv4.ip_forward: 1}
    cap_add: [NET_ADMIN]
    networks: [front, back]
  server: {image: simctl/origin, environment: {KEEPALIVE_TIMEOUT: 60s}, networks: [back]}
networks: {front: {internal: true}, back: {internal: true}}
"""

QUICK = """\
name: facts
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://nat:8080/bytes/1000", session: pool, count: 5}}
  - {name: slow, request: {from: client, url: "http://nat:8080/delay/300", session: pool}}
  - {name: short, request: {from: client, url: "http://nat:8080/bytes/100", count: 3}}
  - {name: rest, wait: 400ms}  # the last FIN of all is on its way when the client has closed
expect:
  - that: what one end sent the other received, headers included
    over: load.start .. load.end
    client: {bytes: {sent: 600..1000, received: 5400..7000}}
    server: {bytes: {sent: 5400..7000, received: 600..1000}}
  - that: short connections are counted by their FINs, though no sample saw them open
    over: short.start .. short.end
    client: {bytes: {sent: 300..600, received: 500..900}}
    server: {bytes: {sent: 500..900, received: 300..600}}
  - that: the slow one alone took its time
    client: {duration: {max: 300ms..3s}, zero_windows: 0}
  - that: one took 300 ms
    over: slow.start .. slow.end
    client: {duration: 300ms..3s}
  - that: the table has what is open, and what was closed
    at: rest.end
    nat: {conntrack: {ESTABLISHED: 1, TIME_WAIT: 3, SYN_SENT: 0}}
  - that: nothing was there before
    at: start
    nat: {conntrack: 0}
"""

PROBES = """\
name: probes
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://nat:8080/", session: pool}}
  - {name: idle, wait: 2500ms}
  - {name: cut, link: {node: server, up: false}}
  - {name: quiet, wait: 3200ms}
expect:
  - that: the server's kernel answers each
    over: load.end .. idle.end
    client: {keepalive_probes: {sent: 1..3, unanswered: 0}}
    server: {keepalive_probes: {sent: 0, unanswered: 0}}
  - that: nothing answers any more
    over: cut.start .. quiet.end
    client: {keepalive_probes: {sent: 2..4, unanswered: 1..4}}
"""


def passed(simctl: Simctl, folder: Path, scenario: str) -> dict[str, object]:
    (folder / "compose.yaml").write_text(TOPOLOGY)
    (folder / "scenario.yaml").write_text(scenario)
    done = simctl("run", folder / "scenario.yaml", "-r", "netns", "--format", "json", timeout=60)
    report: dict[str, object] = json.loads(done.stdout)
    assert done.returncode == 0, in_short(report)
    return report


def test_bytes_durations_and_a_nat_s_table(simctl: Simctl, tmp_path: Path) -> None:
    report = passed(simctl, tmp_path, QUICK)
    requests, moments = report["requests"], report["moments"]
    assert isinstance(requests, dict) and isinstance(moments, list)
    assert 0.3 <= requests["client"]["durations"]["max"] < 3
    tables = {moment["name"]: moment["nodes"] for moment in moments}
    assert tables["start"]["nat"]["conntrack"] == {}
    assert tables["load.end"]["nat"]["conntrack"] == {"ESTABLISHED": 1}
    assert tables["load.end"]["client"]["conntrack"] is None


@pytest.mark.slow
def test_keepalive_probes_that_nothing_answers(simctl: Simctl, tmp_path: Path) -> None:
    passed(simctl, tmp_path, PROBES)
