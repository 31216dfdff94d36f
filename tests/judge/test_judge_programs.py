"""Facts that programs report, and those that the kernel counts."""

from __future__ import annotations

import pytest

from orchestrator.recording.verdict import Outcome
from tests.support.builders import REQUESTS, TALK, history, verdict, worded

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL


def outcome(run: str, expectation: str) -> Outcome:
    return verdict(history(run), expectation).outcome


# -- what programs report ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{client: {requests: 5, errors: 2}}", PASS),
        ("{over: start .. start + 1s, client: {requests: 2, errors: 0}}", PASS),
        ("{at: start + 1500ms, client: {requests: 3, errors: {RemoteDisconnected: 1, ReadTimeout: 0}}}", PASS),
        ("{client: {errors: {RemoteDisconnected: 2}}}", FAIL),
        ("{client: {errors: ..1}}", FAIL),
        ("{where: {port: 41001}, client: {requests: 1}}", UNKNOWN),  # the refused one has no address
        ("{where: {port: 41001}, client: {requests: 1..2}}", PASS),
        ("{where: {peer: proxy}, over: start .. start + 2s, client: {requests: 0}}", PASS),
        ("{where: {owner: python3}, client: {requests: 5}}", UNKNOWN),
        ("{server: {requests: 0}}", UNKNOWN),
        ("{over: start .. end + 1s, client: {requests: 5}}", UNKNOWN),
        ("{over: start .. end + 1s, client: {requests: ..4}}", FAIL),
        ("{over: start .. nothing.end, client: {requests: 5}}", UNKNOWN),
    ],
)
def test_requests_and_errors(expectation: str, expected: Outcome) -> None:
    assert verdict(history(TALK, *REQUESTS), expectation).outcome is expected


def test_requests_are_shown() -> None:
    evidence = worded(history(TALK, *REQUESTS), "{client: {errors: 2}}").evidence
    assert evidence == (
        "client GET http://server:8080/ RemoteDisconnected: text at 1.5s, request 3 on 198.18.0.2:41000",
        "client GET http://server:8080/ ConnectionRefusedError: text at 2.5s",
    )


SERVED = [
    {"t": 0.5, "ev": "served", "node": "server", "local": "198.18.0.3:8080", "peer": "198.18.0.2:41000", "path": "/"},
    {"t": 1.5, "ev": "closed", "node": "server", "local": "198.18.0.3:8080", "peer": "198.18.0.2:41000",
     "reason": "idle"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{server: {served: 1, closed_by: {idle: 1, limit: 0}}}", PASS),
        ("{over: start + 1s .. end, server: {served: 1}}", FAIL),
        ("{where: {peer: client}, server: {served: 1}}", PASS),
        ("{where: {peer: proxy}, server: {served: 0}}", PASS),
        ("{app-2: {served: 0}}", UNKNOWN),
        ("{app: {served: 0}}", UNKNOWN),  # one of its nodes does not speak
        ("{app-1: {served: 0, closed_by: {idle: 0}}}", PASS),
    ],
)
def test_what_servers_say(expectation: str, expected: Outcome) -> None:
    assert verdict(history(TALK, *SERVED), expectation).outcome is expected


def test_a_node_that_does_not_report_is_named() -> None:
    found = worded(history(TALK), "{app-2: {served: 0}}")
    assert found.reason == "app-2 does not report what it served and closed"


# -- the kernel's own counts -------------------------------------------------------------------------------------

RESETS = """
    moment a.end 1
    client:41000 > server:8080 | E E E E
    count server OutRsts 5 5 7 7
    count server RetransSegs 1 2 3 4
"""


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{server: {resets: 2, retransmits: 3}}", PASS),
        ("{over: start .. a.end, server: {resets: 0, retransmits: 1}}", PASS),
        ("{over: start .. a.end + 500ms, server: {resets: 2}}", UNKNOWN),
        ("{over: start .. a.end + 500ms, server: {resets: 0..2}}", PASS),
        ("{over: start .. a.end + 500ms, server: {resets: 3..}}", FAIL),
        ("{over: start + 500ms .. a.end + 500ms, server: {retransmits: 0..2}}", PASS),
        ("{over: start .. end + 1s, server: {resets: 2}}", UNKNOWN),
        ("{over: start .. end + 1s, server: {resets: ..1}}", FAIL),
        ("{where: {port: 8080}, server: {resets: 2}}", UNKNOWN),
    ],
)
def test_kernel_counters(expectation: str, expected: Outcome) -> None:
    assert verdict(history(RESETS), expectation).outcome is expected
