"""Faults on the network in a virtual machine, whose kernel has netem: the same language, the same evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simctl
from tests.support.reports import in_short
from tests.support.vanishing import events_of, write

pytestmark = pytest.mark.vm

PAIR = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 1h}
    networks: [lab]
networks: {lab: {internal: true}}
"""


def get(path: str = "/", session: str = "pool") -> str:
    return f'{{from: client, url: "http://server:8080{path}", session: {session}, timeout: 30s}}'


def run(simctl: Simctl, folder: Path, scenario: Path | str) -> dict[str, Any]:
    done = simctl("run", scenario, "-r", "vm", "-o", folder / "runs", "--format", "json", timeout=110)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["outcome"] == "pass", in_short(report)
    assert not any("disagree" in note for note in report["notes"]), report["notes"]
    return report


def durations(folder: Path) -> dict[str, float]:
    """Step -> how long its request took, s."""
    return {
        event["step"]: round(event["t"] - event["t0"], 4)
        for event in events_of(folder / "runs")
        if event["ev"] == "request"
    }


@pytest.mark.timeout(150)
def test_what_both_ends_believe_of_a_fin_that_never_arrives(simctl: Simctl, tmp_path: Path) -> None:
    run(simctl, tmp_path, "fin-lost")
    lost = [event for event in events_of(tmp_path / "runs") if event["ev"] == "filtered"]
    assert {(event["node"], event["step"], event["flags"]) for event in lost} == {("server", "eat", "F.")}
    assert len(lost) >= 4


@pytest.mark.timeout(150)
def test_netem(simctl: Simctl, tmp_path: Path) -> None:
    """Each shows, and is over when it is healed. A bit turned in a MAC address harms nobody: so there are four."""
    steps = [
        f"name: before, request: {get()}",
        "name: late, impair: {to: server, delay: 300ms, jitter: 10ms}",
        f"name: slow, request: {get()}",
        "name: soon, heal: late",
        f"name: after, request: {get()}",
        "name: narrow, impair: {from: server, rate: 100kbit}",
        f"name: thin, request: {get('/bytes/20000')}",
        "name: wide, heal: narrow",
        "name: noise, impair: {to: server, flags: data, nth: [1, 2, 3, 4], corrupt: 100%}",
        f"name: damaged, request: {get()[:-1]}, count: 4}}",
        "name: clear, heal: noise",
        "name: rest, wait: 1s",
    ]
    scenario = write(
        tmp_path,
        PAIR,
        [f"{{{step}}}" for step in steps],
        [
            "{that: nothing fails, client: {requests: 8, errors: 0, connections: 1}}",
            "{that: what is damaged is sent again, over: damaged.start .. damaged.end, client: {retransmits: 1..}}",
        ],
    )
    run(simctl, tmp_path, scenario)
    took = durations(tmp_path)
    assert took["slow"] - took["before"] >= 0.28
    assert took["after"] < 0.2
    assert took["thin"] >= 1.4, "20 kB at 100 kbit/s"


@pytest.mark.timeout(150)
def test_duplicates_harm_nobody(simctl: Simctl, tmp_path: Path) -> None:
    scenario = write(
        tmp_path,
        PAIR,
        ["{name: twice, impair: {from: server, duplicate: 100%}}", f"{{name: load, request: {get('/bytes/20000')}}}"],
        ["{that: it works, client: {requests: 1, errors: 0, connections: 1}}"],
    )
    run(simctl, tmp_path, scenario)


@pytest.mark.timeout(150)
def test_a_ladder_does_not_call_lost_what_is_late(simctl: Simctl, tmp_path: Path) -> None:
    """A SYN that takes longer than the timer is sent again; both arrive."""
    scenario = write(
        tmp_path,
        PAIR,
        [
            "{name: late, impair: {to: server, delay: 1500ms}}",
            f"{{name: slow, request: {get()}}}",
            "{name: rest, wait: 4s}",
        ],
        ["{that: it works, client: {requests: 1, errors: 0}}"],
    )
    run(simctl, tmp_path, scenario)
    (made,) = (tmp_path / "runs").iterdir()
    ladder = json.loads(simctl("show", made, "--conn", "c1", "--format", "json").stdout)
    rows = ladder["ladder"]["rows"] if "ladder" in ladder else ladder["rows"]
    assert not [row for row in rows if row["lost"]]
