"""What is said of real proxies and kernels: why a request failed, which timer closed, what counters mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simctl

pytestmark = pytest.mark.netns

PROXIED = """\
services:
  client: {{image: simctl/requests, networks: [lab]}}
  proxy:
    image: simctl/{proxy}
    depends_on: [app]
    environment: {{UPSTREAM: "app:8080", UPSTREAM_TIMEOUT: 1s, KEEPALIVE_TIMEOUT: 1s{more}}}
    networks: [lab]
  app: {{image: simctl/origin, environment: {{FAULT: {fault}}}, networks: [lab]}}
networks: {{lab: {{internal: true}}}}
"""

FAILING = """\
name: failing
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/", session: pool}}
"""

AT_WORK = """\
name: at-work
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/delay/2000", session: pool}}
  - {name: idle, wait: 1500ms}
"""


def played(simctl: Simctl, folder: Path, topology: str, scenario: str) -> tuple[dict[str, Any], Path]:
    """The report of a run, and its folder."""
    (folder / "compose.yaml").write_text(topology)
    (folder / "scenario.yaml").write_text(scenario)
    done = simctl("run", folder / "scenario.yaml", "-r", "netns", "-o", folder / "runs", "--format", "json")
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs").iterdir()
    return json.loads(done.stdout), run


KEPT = ', UPSTREAM_KEEPALIVE: "4"'


@pytest.mark.parametrize(
    ("proxy", "more", "status", "says"),
    [
        pytest.param("nginx", KEPT, "502", "upstream prematurely closed connection", marks=pytest.mark.kinds("nginx")),
        pytest.param("haproxy", "", "502", "SH: the server closed", marks=pytest.mark.kinds("haproxy")),
        pytest.param("apache", "", "502", "AH01102: error reading status line", marks=pytest.mark.kinds("apache")),
    ],
)
def test_a_server_that_closes_without_an_answer(
    simctl: Simctl, as_root: None, tmp_path: Path, proxy: str, more: str, status: str, says: str
) -> None:
    topology = PROXIED.format(proxy=proxy, more=more, fault="close-unanswered")
    report, run = played(simctl, tmp_path, topology, FAILING)
    failures = [failure for failure in report["failures"] if failure["result"] == status]
    assert failures, report["story"]
    failure = failures[0]
    cause = failure["causes"][0]
    assert (failure["proxy"], failure["connection"], failure["sure"]) == ("proxy", 1, True)
    assert (cause["kind"], cause["client"], cause["server"], cause["by"]) == ("closed", "proxy", "app", "app")
    assert says in failure["says"]
    name = f"c{cause['connection']}"
    told = next(line for line in report["story"] if line.startswith(f"{status}: "))
    assert f"proxy -> app {name} was closed by app" in told and says in told
    shown = " ".join(simctl("show", run).stdout.split())
    assert f"{name} is drawn because a request failed by what became of it" in shown
    assert says.split(":", maxsplit=1)[0] in shown


@pytest.mark.kinds("nginx")
def test_a_handler_that_is_at_work_is_not_idle(simctl: Simctl, as_root: None, tmp_path: Path) -> None:
    report, run = played(simctl, tmp_path, PROXIED.format(proxy="nginx", more=KEPT, fault="none"), AT_WORK)
    story = "\n".join(report["story"])
    assert "proxy closed first (FIN, without an answer for its UPSTREAM_TIMEOUT of 1s)" in story
    assert "client -> proxy:8080: proxy closed first (FIN, idle for its KEEPALIVE_TIMEOUT of 1s)" in story
    (failure,) = report["failures"]
    cause = failure["causes"][0]
    assert (cause["kind"], cause["unanswered"]) == ("abandoned", True)
    assert cause["timer"] == {"node": "proxy", "knob": "UPSTREAM_TIMEOUT", "seconds": 1.0}
    assert "upstream timed out" in failure["says"]
    shown = " ".join(simctl("show", run, "--conn", f"c{cause['connection']}").stdout.split())
    assert "without an answer: the handler was at work; UPSTREAM_TIMEOUT is 1s" in shown
    assert "idle" not in shown.partition("step idle")[0]


FULL = """\
services:
  client:
    image: simctl/requests
    environment: {POOL_MAXSIZE: "1"}
    sysctls: {net.ipv4.tcp_max_tw_buckets: 4}
    networks: [lab]
  server: {image: simctl/origin, environment: {BACKLOG: "2"}, networks: [lab]}
networks: {lab: {internal: true}}
"""

FILLED = """\
name: filled
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://server:8080/", count: 10}}
  - name: surplus
    request: {from: client, url: "http://server:8080/delay/200", session: pool, count: 3, concurrency: 3}
  - {name: freeze, pause: server}
  - {name: flood, request: {from: client, url: "http://server:8080/", count: 8, concurrency: 8, timeout: 1200ms}}
  - {name: thaw, resume: server}
"""


def test_what_was_full(simctl: Simctl, as_root: None, tmp_path: Path) -> None:
    report, _ = played(simctl, tmp_path, FULL, FILLED)
    story = "\n".join(report["story"])
    counters = report["counters"]
    overflows = counters["server"]["ListenOverflows"]
    assert (
        f"the accept queue of 2 on server:8080 was full: {overflows} SYNs or last ACKs of handshakes dropped" in story
    )
    missed = counters["client"]["TCPTimeWaitOverflow"]
    assert f"no TIME_WAIT of {missed} connections on client: its table of 4 was full" in story
    assert "the pool of client was full, so it closed the surplus: 2 connections, as its library says" in story


QUIET = """\
name: quiet
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://server:8080/", session: pool, count: 3}}
"""


def test_nothing_is_said_to_have_been_full_that_was_not(simctl: Simctl, as_root: None, tmp_path: Path) -> None:
    report, _ = played(simctl, tmp_path, FULL, QUIET)
    assert not any("full" in line for line in report["story"])
    assert report["failures"] == []
