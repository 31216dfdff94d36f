"""Ladders that once drew what had not happened: answers that were never sent, requests that arrived at a node which was
cut off, idleness where a server worked or traffic went. What nothing proves is not drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system.resources import ROOT
from tests.conftest import Simctl

Row = dict[str, Any]

ON_BOTH = [
    pytest.param("netns", marks=[pytest.mark.netns, pytest.mark.kinds("nginx")]),
    pytest.param("vm", marks=pytest.mark.vm),
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.parametrize("runtime", ON_BOTH)]

THROUGH_PROXY, LOST_PEER = "client-proxy-server", "lost-peer"

CUT_OFF = """
  - {name: first, request: {from: client, url: "http://server:8080/", session: pool}}
  - {name: cut, link: {node: server, up: false}}
"""


def ran(simctl: Simctl, folder: Path, runtime: str, topology: str, variables: str, steps: str) -> dict[str, Any]:
    """The document of a run of these steps; it has no contradiction. Its folder is `folder/runs/...`."""
    compose = ROOT / "compose" / f"{topology}.yaml"
    (folder / "story.yaml").write_text(f"name: story\ntopology: {compose}\nset: {{{variables}}}\nsteps:{steps}")
    done = simctl("run", "story.yaml", "-r", runtime, "-q", "-o", "runs", "--format", "json", cwd=folder, timeout=110)
    assert done.returncode == 0, done.stderr + done.stdout
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["contradictions"] == []
    return report


def ladder(simctl: Simctl, folder: Path, client: str) -> dict[str, Any]:
    """The ladder of the only connection of that client node."""
    (run,) = (folder / "runs").iterdir()
    listed = json.loads(simctl("show", run, "--format", "json").stdout)
    connections = listed["connections"]
    (name,) = [one["id"] for one in connections if one["client"]["node"] == client]
    found: dict[str, Any] = json.loads(simctl("show", run, "--conn", name, "--format", "json").stdout)
    return found


def rows_that_say(found: dict[str, Any], what: str) -> Iterator[tuple[Row, dict[str, Any]]]:
    for row in found["rows"]:
        for says in row["says"]:
            if says["is"] == what:
                yield row, says


def silences(found: dict[str, Any]) -> list[tuple[str, float]]:
    """What each silence of more than half a second is, and how long, seconds."""
    told = [(says["what"], says["most"]) for _, says in rows_that_say(found, "silence")]
    return [(what, seconds) for what, seconds in told if seconds > 0.5]


def test_an_answer_that_came_too_late_for_a_proxy(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """The server works on it for three seconds, the proxy gives up after one: no answer is drawn before it was sent."""
    ran(simctl, tmp_path, runtime, THROUGH_PROXY, "UPSTREAM_TIMEOUT: 1s", """
  - {name: get, request: {from: client, url: "http://proxy:8080/delay/3000", timeout: 20s}}
  - {name: settle, wait: 4s}
""")  # fmt: skip
    found = ladder(simctl, tmp_path, "proxy")
    assert {what for what, _ in silences(found)} == {"no-answer-yet"}
    (answered,) = (row for row, says in rows_that_say(found, "unread_answer") if says["late"])
    (closed,) = (
        row for row, says in rows_that_say(found, "sent") if says["flags"] == "FIN" and row["from"] == "client"
    )
    assert closed["t"][1] < answered["t"][0]
    assert answered["t"][0] - found["rows"][0]["t"][0] > 2.9
    assert not list(rows_that_say(found, "outcome"))
    (last,) = (part for part in found["closing"]["parts"] if part["is"] == "closing_segment")
    assert (last["by"]["node"], last["pause"]["unanswered"]) == ("proxy", True)


def test_a_server_at_work_is_not_idle(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    variables = "KEEPALIVE_TIMEOUT: 60s, UPSTREAM_KEEPALIVE: 4"
    ran(simctl, tmp_path, runtime, THROUGH_PROXY, variables, """
  - {name: ask, request: {from: client, url: "http://proxy:8080/delay/3000", timeout: 20s}}
  - {name: settle, wait: 700ms}
""")  # fmt: skip
    found = ladder(simctl, tmp_path, "proxy")
    (waits, longest), *after = silences(found)
    assert (waits, longest > 2.9, [what for what, _ in after]) == ("no-answer-yet", True, ["idle"])


def test_traffic_that_no_program_reports_is_traffic(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """Neither end tells of its requests: nginx asks, nginx answers. What the kernel counted is told; none is not."""
    variables = "SERVER: nginx, KEEPALIVE_TIMEOUT: 60s, UPSTREAM_KEEPALIVE: 16"
    report = ran(simctl, tmp_path, runtime, THROUGH_PROXY, variables, """
  - {name: load, request: {from: client, url: "http://proxy:8080/", session: pool, count: 15, interval: 200ms}}
  - {name: settle, wait: 700ms}
""")  # fmt: skip
    found = ladder(simctl, tmp_path, "proxy")
    ((traffic, counted),) = rows_that_say(found, "unreported")
    assert counted["sent"] > 15 * 20
    assert counted["received"] > 15 * 100
    assert all(
        row["t"][0] >= traffic["t"][1] for row, says in rows_that_say(found, "silence") if says["what"] == "idle"
    )
    (upstream,) = (one for one in report["connections"] if one["client_node"] == "proxy")
    assert upstream["requests"] is None


@pytest.mark.parametrize("length", [100, 12000])
def test_what_is_sent_again_is_drawn(simctl: Simctl, tmp_path: Path, runtime: str, length: int) -> None:
    report = ran(simctl, tmp_path, runtime, LOST_PEER, "", f"""{CUT_OFF}
  - {{name: post, request: {{from: client, url: "http://server:8080/echo", session: pool, method: POST, timeout: 2s,
      body: {"x" * length}}}}}
  - {{name: back, link: {{node: server, up: true}}}}
  - {{name: settle, wait: 6s}}
""")  # fmt: skip
    found = ladder(simctl, tmp_path, "client")
    again = [(row, says.get("count", 1)) for row, says in rows_that_say(found, "sent") if says["again"]]
    again += [(row, says["count"]) for row, says in rows_that_say(found, "sent_again")]
    told = sum(count for _, count in again)
    counted = report["counters"]["client"]["RetransSegs"]
    at_least = any(says["at_least"] for _, says in rows_that_say(found, "sent_again"))
    assert told >= 2
    assert told == counted or (told < counted and (at_least or any("retrans" in note for note in report["notes"])))
    assert any(row["lost"] for row, _ in again)


def test_a_request_to_a_node_that_is_cut_off_does_not_arrive(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    variables = "SERVER: nginx, KEEPALIVE_TIMEOUT: 60s"
    ran(simctl, tmp_path, runtime, LOST_PEER, variables, f"""{CUT_OFF}
  - {{name: ask, request: {{from: client, url: "http://server:8080/", session: pool, timeout: 2s}}}}
  - {{name: settle, wait: 200ms}}
""")  # fmt: skip
    found = ladder(simctl, tmp_path, "client")
    (first, second) = (row for row, _ in rows_that_say(found, "request"))
    assert (first["lost"], second["lost"]) == (False, True)
