"""The facts that take a minute, or twenty thousand connections."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.history.build import history_of
from orchestrator.history.kernelevents import understood
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.reader import read_events
from tests.conftest import Simctl
from tests.support.twonodes import states

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_root")]

COMPOSE = """
services:
  client: {image: simctl/requests, networks: [lab]}
  server: {image: simctl/origin, networks: [lab], environment: {KEEPALIVE_TIMEOUT: 30s}}
networks: {lab: {internal: true}}
"""

CHURN = """
name: churn
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://server:8080/", count: 20000, concurrency: 4}}
  - {name: settle, wait: 1s}
expect:
  - that: every connection is accounted for on both ends
    over: load.start .. load.end
    client: {connections: 20000, first_fin: 20000, errors: 0}
    server: {connections: 20000, first_fin: 0}
"""

WAIT = """
name: wait
topology: compose.yaml
steps:
  - {name: load, request: {from: client, url: "http://server:8080/"}}
  - {name: wait, wait: 67s}
expect:
  - that: TIME_WAIT takes its time
    over: start .. end
    client: {lasts: {TIME_WAIT: 60s..%ss}}
"""

_CLOCK_MONOTONIC_COARSE = 6
_LONGEST = {0.01: 65.2, 0.004: 62.1, 0.001: 64.1}
"""Seconds of a jiffy -> how long TIME_WAIT lasts at most: the timer wheel rounds 60 s up to a slot of its level."""


def run(simctl: Simctl, folder: Path, scenario: str, runtime: str) -> RunFolder:
    """A run that passes."""
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "story.yaml").write_text(scenario)
    done = simctl("run", "story.yaml", "-r", runtime, "-q", "-o", folder / "runs", timeout=280)
    assert done.returncode == 0, done.stderr + done.stdout
    (made,) = (folder / "runs").iterdir()
    return RunFolder.open(made)


@pytest.mark.netns
@pytest.mark.timeout(400)
def test_churn_of_twenty_thousand_connections_loses_nothing(simctl: Simctl, tmp_path: Path) -> None:
    folder = run(simctl, tmp_path, CHURN, "netns")
    history = history_of(folder)
    assert history.exact, history.notes
    assert history.unobserved == ()
    ends = Counter((*states(one.client), *states(one.server)) for one in history.connections)
    active = ("SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")
    assert ends == {(*active, "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"): 20000}

    events = list(read_events(folder.events))
    (traced,) = [event for event in events if event["ev"] == "traced"]
    assert traced["lost"] == 0
    nodes = {address: node["name"] for node in events[0]["nodes"] for address in node["addresses"]}
    born = sum(event["ev"] == "minisocket" and event["what"] == "born" for event in understood(events, nodes.get))
    readings = history.counters["client"]
    assert born == readings["TW"][-1][1] - readings["TW"][0][1] == 20000


@pytest.mark.docker
@pytest.mark.images("origin", "requests")
@pytest.mark.timeout(400)
def test_time_wait_of_a_container_lasts_what_the_kernel_says(simctl: Simctl, tmp_path: Path) -> None:
    """The same on namespaces: tests/observe/test_trace.py."""
    longest = _LONGEST.get(time.clock_getres(_CLOCK_MONOTONIC_COARSE), max(_LONGEST.values()))
    history = history_of(run(simctl, tmp_path, WAIT % longest, "docker"))
    assert history.exact, history.notes
    (connection,) = history.connections
    assert connection.client is not None
    assert connection.client.ended_by == "expired"
