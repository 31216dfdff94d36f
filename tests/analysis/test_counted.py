"""What counters and a library's words explain, and where they explain nothing."""

from __future__ import annotations

import pytest

from orchestrator.analysis.counted import NoPlace, PoolWasFull, QueueWasFull, TableWasFull, explained
from orchestrator.history.build import build_history
from orchestrator.history.model import History
from orchestrator.recording.events import Event
from orchestrator.report.words.summaries import explanation
from tests.support.builders import events

ONE = "server:8080 | L/0/2 L/3/2 L/0/2 L/0/2"
TWO = ONE + "\nserver:8081 | L/0/5 L/0/5 L/0/5 L/0/5"


def run(text: str, *more: Event, buckets: str = "") -> History:
    lines = events(text, *more)
    for node in lines[0]["nodes"]:
        node["sysctls"] = {"net.ipv4.tcp_max_tw_buckets": buckets} if buckets else {}
    return build_history(lines)


@pytest.mark.parametrize(
    ("listeners", "backlog", "port", "told"),
    [
        (ONE, 2, 8080, "the accept queue of 2 on server:8080 was full: 3 SYNs or last ACKs of handshakes dropped"),
        (TWO, 2, 8080, "the accept queue of 2 on server:8080 was full: 3 SYNs or last ACKs of handshakes dropped"),
        (
            TWO.replace("L/3/2", "L/2/2"),
            None,
            None,
            "an accept queue on server was full: 3 SYNs or last ACKs of handshakes dropped",
        ),
        ("server:8080 | L/0/9 L/0/9 L/0/9 L/0/9", 9, 8080, "the accept queue of 9 on server:8080 was full"),
    ],
    ids=["one", "the one that was seen full", "either of two", "the only one, seen full by no sample"],
)
def test_a_full_accept_queue(listeners: str, backlog: int | None, port: int | None, told: str) -> None:
    (found,) = explained(run(listeners + "\ncount server ListenOverflows 0 3 3 3"))
    assert found == QueueWasFull("server", 3, backlog, port)
    assert explanation(found).startswith(told)
    assert "ListenOverflows" in explanation(found)


@pytest.mark.parametrize(("buckets", "size"), [("4", 4), ("", None), ("many", None), ("\u0664", None)])
def test_a_full_table_of_time_wait(buckets: str, size: int | None) -> None:
    (found,) = explained(
        run("client:41000 > server:8080 | E E E E\ncount client TCPTimeWaitOverflow 1 1 8 8", buckets=buckets)
    )
    assert found == TableWasFull("client", 7, size)
    table = "its table" if size is None else f"its table of {size}"
    assert explanation(found) == (f"no TIME_WAIT of 7 connections on client: {table} was full (TCPTimeWaitOverflow)")


def test_a_nat_without_a_place_says_what_was_used_up() -> None:
    says = "no place for the first segment of a flow: its table of 8 was full"
    said: Event = {"t": 2.0, "ev": "log", "node": "client", "after": 0.0, "says": says, "means": "no_place"}
    (found,) = explained(run(ONE, said, said))
    assert found == NoPlace("client", 2, says)
    assert explanation(found) == f"client dropped 2 segments: {says}, as it says"


def test_a_full_pool_is_what_a_library_says() -> None:
    said: Event = {"t": 2.0, "ev": "log", "node": "client", "after": 0.0, "says": "full", "means": "pool_full"}
    other: Event = {"t": 2.0, "ev": "log", "node": "client", "after": 0.0, "says": "Connection pool is full"}
    (found,) = explained(run(ONE, said, said, other))
    assert found == PoolWasFull("client", 2)


@pytest.mark.parametrize(
    "text",
    [ONE, ONE + "\ncount server ListenOverflows 3 3 3 3", ONE + "\ncount server TCPChallengeACK 0 1 1 1"],
    ids=["nothing counted", "counted before", "a challenge ACK, and no old half"],
)
def test_nothing_is_explained_that_did_not_happen(text: str) -> None:
    assert explained(run(text)) == []
