"""When clients send: commands beside each other, a rate, a duration, pauses that are drawn; real processes, no lab."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.kinds.registry import load_kinds
from tests.support.kindclient import answers, client
from tests.support.node_process import ORIGIN, NodeProcess, server

KINDS = {
    name: kind
    for name, kind in load_kinds().items()
    if kind.role == "client" and "request" in kind.commands and name not in ("psycopg", "pymysql", "redis-py")
}
JAVA = ("java-httpclient", "apache-httpclient", "okhttp")
HTTP = [pytest.param(name, marks=pytest.mark.java if name in JAVA else ()) for name in KINDS]
PACED = [pytest.param(name, marks=pytest.mark.java if name in JAVA else ()) for name in KINDS if KINDS[name].paces]
ONE_OF_EACH_LANGUAGE = [
    "requests",
    "go-client",
    "node-agent",
    pytest.param("okhttp", marks=pytest.mark.java),
]
"""Those of one language share what paces them."""


def load_of(them: NodeProcess, **command: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What came of a command with a rate: its requests, and how it was kept."""
    them.send({"id": 1, "do": "request", **command})
    done = them.next("done")
    assert "error" not in done, done
    (load,) = them.seen("load")
    return them.seen("request"), load


@pytest.mark.parametrize("name", HTTP)
def test_two_commands_go_on_beside_each_other(name: str) -> None:
    """The first is not answered before the second was, and its session is there for the second."""
    with server(ORIGIN) as (_, port), client(name) as them:
        url = f"http://127.0.0.1:{port}"
        them.do(do="request", url=url)  # what is slow the first time is over
        them.send({"id": 7, "do": "request", "url": url + "/delay/2000", "session": "s"})
        them.send({"id": 8, "do": "request", "url": url + "/", "session": "s"})
        said = [them.next("request", "done") for _ in range(4)]
        assert [(event["ev"], event["id"]) for event in said] == [
            ("request", 8),
            ("done", 8),
            ("request", 7),
            ("done", 7),
        ]
        assert [event["session"] for event in said if event["ev"] == "request"] == ["s", "s"]
        them.send({"id": 9, "do": "close", "session": "s"})
        assert "error" not in them.next("done")


@pytest.mark.parametrize("name", PACED)
def test_a_rate_does_not_wait_for_answers(name: str) -> None:
    with server(ORIGIN) as (_, port), client(name) as them:
        requests, load = load_of(
            them, url=f"http://127.0.0.1:{port}/delay/500", rate=50, count=10, concurrency=50, session="s"
        )
    assert all(event["error"] is None for event in requests)
    assert sorted(event["n"] for event in requests) == list(range(1, 11))
    begun = sorted(event["t0"] for event in requests)
    assert max(begun) < min(event["t"] for event in requests), "the last is sent before the first is answered"
    assert all(t >= load["t0"] + (n - 1) / 50 for n, t in enumerate(begun, 1)), "none before its time"
    assert (load["rate"], load["asked"], load["sent"], load["session"]) == (50, 10, 10, "s")
    assert load["t0"] + load["seconds"] <= load["t"]
    assert load["seconds"] >= 9 / 50 - 1e-6


@pytest.mark.parametrize("name", ONE_OF_EACH_LANGUAGE)
def test_what_cannot_be_sent_in_time_is_sent_late_and_told(name: str) -> None:
    with server(ORIGIN) as (_, port), client(name) as them:
        requests, load = load_of(them, url=f"http://127.0.0.1:{port}/delay/200", rate=1000, count=4, concurrency=1)
    for before, after in pairwise(sorted(requests, key=lambda event: event["n"])):
        assert before["t"] <= after["t0"], "one at a time"
    assert (load["asked"], load["sent"], load["late"]) == (4, 4, 3)
    assert load["lateness"] >= 0.6 - 0.003


@pytest.mark.parametrize("name", PACED)
def test_a_duration_ends_workers_and_lets_what_is_under_way_finish(name: str) -> None:
    with server(ORIGIN) as (_, port), client(name) as them:
        events = answers(
            them.do(do="request", url=f"http://127.0.0.1:{port}/delay/100", duration=0.35, count=1000, concurrency=2)
        )
    first = min(event["t0"] for event in events)
    assert 2 <= len(events) <= 8
    assert all(event["t0"] - first < 0.35 for event in events)


@pytest.mark.parametrize("name", ONE_OF_EACH_LANGUAGE)
def test_pauses_are_drawn_by_the_seed_alike_in_every_language(name: str) -> None:
    with server(ORIGIN) as (_, port), client(name) as them:
        command = {"do": "request", "url": f"http://127.0.0.1:{port}/", "session": "s"}
        them.do(**command)  # what is slow the first time is over
        for seed in ("load", "größer"):
            drawn = [between(0.05, 0.5, f"{seed} 0 {number}") for number in range(4)]
            events = answers(them.do(**command, interval=0.05, interval_most=0.5, count=5, seed=seed))
            gaps = [after["t0"] - before["t"] for before, after in pairwise(events)]
            assert all(gap >= pause - 0.001 for gap, pause in zip(gaps, drawn, strict=True)), (gaps, drawn)
            assert max(gaps) - min(gaps) > 0.03, "they differ"


def between(least: float, most: float, of: str) -> float:
    """What nodes/README.md says of pauses."""
    return least + (most - least) * (int(sha256(of.encode()).hexdigest()[:16], 16) >> 11) / 2**53


@pytest.mark.parametrize("name", PACED)
def test_a_wrong_pace_sends_nothing(name: str) -> None:
    with client(name) as them:
        for fields, named in (
            ({"rate": 0}, "rate: expected requests a second, more than 0"),
            ({"rate": "5"}, "rate: expected "),
            ({"duration": 0}, "duration: expected seconds, more than 0"),
            ({"interval": 2, "interval_most": 1}, "interval_most: expected 2 or more"),
            ({"seed": 5}, "seed: expected "),
        ):
            (done,) = them.do(do="request", url="http://127.0.0.1:9/", **fields)
            assert named in done["error"]


def test_a_client_that_keeps_no_pace_refuses_one() -> None:
    with client("curl") as them:
        (done,) = them.do(do="request", url="http://127.0.0.1:9/", rate=5)
        assert "unknown field 'rate'" in done["error"]
