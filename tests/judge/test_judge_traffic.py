"""Facts about durations of requests, bytes, keep-alive probes and conntrack entries, from hand-made runs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.durations import PERCENTILES, percentile
from orchestrator.recording.events import Event
from orchestrator.recording.verdict import Outcome
from tests.support.builders import HOSTS, TALK, fact, history, request, verdict, worded

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL


def took(seconds: float | None, t: float, **more: Any) -> Event:
    event = request(t, nth=int(t * 10))
    event["t0"] = None if seconds is None else t - seconds
    return event | more


# -- duration ----------------------------------------------------------------------------------------------------

FIVE = [took(seconds, t) for t, seconds in ((1.0, 0.1), (1.5, 0.2), (2.0, 0.3), (2.5, 0.4), (2.9, 1.5))]


@pytest.mark.parametrize(
    ("expected", "outcome", "actual"),
    [
        ("..2s", PASS, "100ms..1.5s"),
        ("..1s", FAIL, "100ms..1.5s"),
        ("200ms..", FAIL, "100ms..1.5s"),
        ("{p50: ..300ms}", PASS, "300ms"),
        ("{p50: 0..299ms}", FAIL, "300ms"),
        ("{p95: 1500ms}", PASS, "1.5s"),
        ("{max: ..1s}", FAIL, "1.5s"),
    ],
)
def test_each_request_and_percentiles(expected: str, outcome: Outcome, actual: str) -> None:
    found = worded(history(TALK, *FIVE), f"{{client: {{duration: {expected}}}}}")
    assert (found.outcome, found.actual) == (outcome, actual)


def test_what_is_wrong_with_a_duration_is_told() -> None:
    found = worded(history(TALK, *FIVE), "{client: {duration: ..1s}}")
    assert found.reason == "1 request of client did not take ..1s"
    assert found.evidence[0].endswith("request 29 on 198.18.0.2:41000, after 1.5s")
    assert worded(history(TALK), "{client: {duration: ..1s}}").reason == (
        "no request of client ended in the window: the fact matched nothing"
    )
    assert worded(history(TALK, *FIVE), "{over: end - 50ms .. end, client: {duration: ..1s}}").outcome is UNKNOWN


def test_a_request_without_its_beginning_is_unknown_unless_another_is_wrong() -> None:
    run = history(TALK, *FIVE, took(None, 2.2))
    assert worded(run, "{client: {duration: ..2s}}").reason == "1 request of client do not tell when they began"
    assert worded(run, "{client: {duration: ..1s}}").outcome is FAIL
    assert worded(run, "{client: {duration: {p50: ..400ms}}}").outcome is PASS
    assert worded(run, "{client: {duration: {p50: ..250ms}}}").outcome is UNKNOWN
    assert worded(run, "{client: {duration: {p50: ..100ms}}}").outcome is FAIL
    assert worded(run, "{client: {duration: {max: ..2s}}}").outcome is UNKNOWN


def test_a_request_that_its_library_tried_again_lasted_from_the_first_try() -> None:
    first = took(0.3, 1.0, id=1, n=1, status=None, error={"name": "ConnectionResetError", "text": ""})
    run = history(TALK, first, took(0.2, 1.5, id=1, n=1))
    assert worded(run, "{client: {duration: 1s}}").actual == "800ms"


def test_a_request_that_perhaps_counts_can_decide_nothing() -> None:
    nowhere = took(5.0, 2.4)
    del nowhere["local"], nowhere["peer"]
    run = history(TALK, *FIVE, nowhere)
    where = "where: {port: 8080}, client"
    assert worded(run, f"{{{where}: {{duration: ..2s}}}}").outcome is UNKNOWN
    assert worded(run, f"{{{where}: {{duration: ..1s}}}}").outcome is FAIL
    assert worded(run, f"{{{where}: {{duration: {{p50: 200ms..400ms}}}}}}").outcome is PASS
    assert worded(run, f"{{{where}: {{duration: {{max: ..2s}}}}}}").outcome is UNKNOWN


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=4),
    st.sampled_from(list(PERCENTILES)),
)
def test_bounds_of_a_percentile_hold_whatever_is_true(
    known: list[int], unsure: list[tuple[int, bool]], name: str
) -> None:
    """Twin: the percentile of every set that the requests can have been lies between the two that are told."""
    events = [took(seconds / 10, 1 + number / 100) for number, seconds in enumerate(known)]
    for number, (seconds, timed) in enumerate(unsure):
        event = took(seconds / 10 if timed else None, 1.5 + number / 100)
        del event["local"], event["peer"]
        events.append(event)
    found = fact(history(TALK, *events), f"{{where: {{port: 8080}}, client: {{duration: {{{name}: 0..1h}}}}}}")
    assert found.actual is not None
    choices = [[None, *([seconds] if timed else range(0, 21, 5))] for seconds, timed in unsure]
    for chosen in itertools.product(*choices):
        durations = sorted([*known, *(one for one in chosen if one is not None)])
        truth = percentile(durations, PERCENTILES[name]) / 10
        assert found.actual.least - 1e-9 <= truth <= found.actual.top + 1e-9


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(1, 100))
def test_nearest_rank(durations: list[float], percent: int) -> None:
    """By its definition: the smallest that so many of all are not above."""
    durations.sort()
    found = percentile(durations, percent)
    assert sum(one <= found for one in durations) * 100 >= percent * len(durations)
    smaller = [one for one in durations if one < found]
    assert len(smaller) * 100 < percent * len(durations) or math.isclose(found, durations[0])


# -- keep-alive probes -------------------------------------------------------------------------------------------

IDLE = """
    ticks 0 0.5 1 1.5 2 2.5 3 3.5 4
    client:41000 > server:8080 #7 | E E E E E E E E E
"""


def probes(t: float, waiting: int | None, *, state: str = "ESTABLISHED") -> Event:
    event: Event = {
        "t": t, "ev": "socket", "node": "client", "sk": "7", "local": f"{HOSTS['client']}:41000",
        "peer": f"{HOSTS['server']}:8080", "state": state, "recv_q": 0, "send_q": 0, "timer": "keepalive",
    }  # fmt: skip
    return event if waiting is None else event | {"probes": waiting}


def sent(*values: int) -> str:
    return f"count client TCPKeepAlive {' '.join(map(str, values))}\n"


@pytest.mark.parametrize(
    ("readings", "counted", "actual"),
    [
        ([], (0, 0, 0, 0, 0, 0, 0, 0, 0), "0"),
        ([(1, 0)], (0, 0, 1, 1, 1, 1, 1, 1, 1), "0"),  # answered at once
        ([(1, 1), (1.5, 0)], (0, 0, 1, 1, 1, 1, 1, 1, 1), "0"),  # answered a little later
        ([(1, 1), (2, 2), (3, 0)], (0, 0, 1, 1, 2, 2, 2, 2, 2), "1"),
        ([(1, 1), (2, 2), (3, 3)], (0, 0, 1, 1, 2, 2, 3, 3, 3), "2..3"),  # the last one is on its way
        ([(1, None)], (0, 0, 1, 1, 1, 1, 1, 1, 1), "0..1"),  # an old recording
    ],
)
def test_unanswered_probes(readings: list[tuple[float, int | None]], counted: tuple[int, ...], actual: str) -> None:
    run = history(IDLE + sent(*counted), *(probes(*reading) for reading in readings))
    assert worded(run, "{client: {keepalive_probes: {unanswered: 99}}}").actual == actual
    assert worded(run, "{client: {keepalive_probes: {sent: 99}}}").actual == str(counted[-1])


def test_samples_that_are_too_far_apart_miss_what_goes_unanswered() -> None:
    run = history("ticks 0 2 4\nclient:41000 > server:8080 #7 | E E E\n" + sent(0, 1, 2))
    found = worded(run, "{client: {keepalive_probes: {unanswered: 0}}}")
    assert (found.outcome, found.actual) == (UNKNOWN, "0..2")
    assert "do not tell whether each probe that client sent was answered" in found.reason
    assert worded(run, "{client: {keepalive_probes: {unanswered: ..2}}}").outcome is PASS


def test_counters_that_an_old_recording_does_not_have_are_unknown() -> None:
    found = worded(history(TALK), "{client: {zero_windows: 0}}")
    assert (found.outcome, found.reason) == (UNKNOWN, "the counter TCPToZeroWindowAdv of client was not read")
    assert worded(history(TALK), "{client: {keepalive_probes: {sent: 0}}}").outcome is UNKNOWN


def test_zero_windows_are_a_counter_of_the_kernel() -> None:
    run = history(TALK + "\ncount client TCPToZeroWindowAdv 0 0 2 2")
    assert worded(run, "{client: {zero_windows: 2}}").outcome is PASS
    assert worded(run, "{where: {port: 8080}, client: {zero_windows: 2}}").outcome is UNKNOWN


# -- bytes -------------------------------------------------------------------------------------------------------


def reading(t: float, node: str, *, state: str = "ESTABLISHED", **values: int) -> Event:
    ends = {name: f"{HOSTS[name]}:{port}" for name, port in (("client", 41000), ("server", 8080))}
    other = "server" if node == "client" else "client"
    return {
        "t": t, "ev": "socket", "node": node, "sk": "7" if node == "client" else "8", "local": ends[node],
        "peer": ends[other], "state": state, "recv_q": 0, "send_q": 0, "received": 0,
    } | values  # fmt: skip


def test_bytes_of_a_connection_that_samples_show() -> None:
    run = history(
        "client:41000 > server:8080 #7 | E E E E\nserver:8080 > client:41000 #8 | E E E E",
        reading(0, "client"), reading(2, "client", received=500, sent=120, resent=20),
        reading(0, "server"), reading(2, "server", received=100, sent=500),
    )  # fmt: skip
    for node, sent_, received in (("client", "100", "500"), ("server", "500", "100")):
        assert worded(run, f"{{{node}: {{bytes: {{sent: 9}}}}}}").actual == sent_
        assert worded(run, f"{{{node}: {{bytes: {{received: 9}}}}}}").actual == received
    assert worded(run, "{over: start .. start + 1s, client: {bytes: {received: 0}}}").outcome is PASS
    assert worded(run, "{over: start .. start + 1500ms, client: {bytes: {received: 9}}}").actual == "0..500"
    assert worded(run, "{where: {port: 9}, client: {bytes: {received: 0}}}").outcome is PASS


def test_what_went_over_a_connection_after_its_last_sample_is_unknown() -> None:
    run = history(
        "client:41000 > server:8080 #7 | E E T T\nserver:8080 > client:41000 #8 | E E - -",
        reading(0, "client"), reading(0, "server"),
    )  # fmt: skip
    found = worded(run, "{client: {bytes: {received: 0}}}")
    assert (found.outcome, found.actual) == (UNKNOWN, "unknown")
    assert "neither samples nor a FIN tell" in found.reason


# -- conntrack ---------------------------------------------------------------------------------------------------


def entries(t: float, **states: int) -> Event:
    return {"t": t, "ev": "conntrack", "node": "proxy", "entries": states}


NAT = "moment load.end 2\nclient:41000 > server:8080 | E E E E E"


@pytest.mark.parametrize(
    ("when", "expected", "outcome"),
    [
        ("at: load.end", "3", PASS),
        ("at: load.end", "{ESTABLISHED: 1, TIME_WAIT: 2}", PASS),
        ("at: load.end", "{ESTABLISHED: 2}", FAIL),
        ("at: load.end", "{SYN_SENT: 0}", PASS),
        ("at: load.end + 1s", "3", UNKNOWN),
        ("always: load.end .. end", "..9", UNKNOWN),
        ("eventually: start .. end", "3", PASS),
        ("never: start .. start", "0", PASS),
    ],
)
def test_entries_are_known_at_moments(when: str, expected: str, outcome: Outcome) -> None:
    run = history(NAT, entries(0), entries(2, ESTABLISHED=1, TIME_WAIT=2))
    facts = f"{{{when}, proxy: {{conntrack: {expected}}}}}"
    assert verdict(run, facts).outcome is outcome


def test_what_is_said_of_entries() -> None:
    run = history(NAT, entries(0), entries(2, ESTABLISHED=1, TIME_WAIT=2))
    found = worded(run, "{at: load.end, proxy: {conntrack: 1}}")
    assert found.reason == "3 entries on proxy, expected 1 (load.end)"
    assert found.evidence == ("proxy had 3 entries at 2s: 1 ESTABLISHED, 2 TIME_WAIT",)
    between = worded(run, "{at: load.end + 1s, proxy: {conntrack: 1}}")
    assert between.reason == "the conntrack table of proxy was not read then: it is at named moments (load.end + 1s)"
    filtered = worded(run, "{at: load.end, where: {port: 1}, proxy: {conntrack: 1}}")
    assert "`where` cannot filter it" in filtered.reason
    assert worded(history(NAT), "{at: load.end, proxy: {conntrack: 1}}").outcome is UNKNOWN
