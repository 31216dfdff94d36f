"""The judge's rules for what adds up over a window, and for every one of several things."""

from __future__ import annotations

import pytest

from orchestrator.recording.verdict import Outcome
from tests.support.builders import REQUESTS, TALK, history, in_words, request, verdict, worded

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL

THREE = """
    moment load.start 1
    moment load.end 4
    client:41000 > server:8080 | E  E  E  E  E  E
    client:41001 > server:8080 | -  -  E  E  T  T
    client:41002 > server:8080 | -  -  -  -  -  SS
    server:8080 > client:41000 | E  E  E  E  E  E
    server:8080 > client:41001 | -  -  E  E  -  -
    server:8080                | L  L  L  L  L  L
"""


def outcome(run: str, expectation: str) -> Outcome:
    return verdict(history(run), expectation).outcome


# -- connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "node", "actual"),
    [
        ("over: start .. end", "client", "1"),  # one was there before, one never got beyond SYN_SENT
        ("over: load.start .. load.end", "client", "1"),
        ("over: load.start + 500ms .. load.end", "client", "0..1"),
        ("over: load.start + 1s .. load.end", "client", "0"),
        ("at: load.start", "client", "0"),
        ("at: load.start + 1s", "client", "1"),
        ("over: start .. end", "server", "1"),
        ("over: start .. end + 1s", "server", "1.."),
    ],
)
def test_connections_by_birth(when: str, node: str, actual: str) -> None:
    found = worded(history(THREE), f"{{{when}, {node}: {{connections: 1}}}}")
    assert found.actual == actual
    assert found.outcome is {"1": PASS, "0": FAIL}.get(actual, UNKNOWN)


def test_a_handshake_that_may_have_been_finished_is_unknown() -> None:
    run = "client:41000 > server:8080 | - SS - -"
    found = worded(history(run), "{client: {connections: 0}}")
    assert (found.outcome, found.actual) == (UNKNOWN, "0..1")
    assert found.reason == "1 connection may or may not count: the samples do not tell"


@pytest.mark.parametrize(
    ("server", "connections"),
    [
        ("server:80 > client:1 | - - T T\nserver:80 | L L L L", "1"),
        ("server:80 | L L L L\nunseen server 0 0 1 0", "1"),
        ("server:80 > client:1 | - SR SR SR", "0..1"),
        ("server:80 | L L L L", "0..1"),
    ],
)
def test_a_handshake_is_finished_when_the_other_end_shows_it(server: str, connections: str) -> None:
    run = history("client:1 > server:80 | - SS - -\n" + server)
    assert worded(run, "{client: {connections: 1}}").actual == connections


def test_unseen_connections_count() -> None:
    run = "server:8080 | L L L\nunseen server 0 2 0\nmoment a.end 1"
    assert outcome(run, "{over: start .. a.end, server: {connections: 2}}") is PASS
    assert outcome(run, "{over: start .. start + 500ms, server: {connections: 2}}") is UNKNOWN
    assert outcome(run, "{over: start .. start + 500ms, server: {connections: 3}}") is FAIL
    assert outcome(run, "{where: {port: 9}, over: start .. a.end, server: {connections: 2}}") is UNKNOWN


def test_refused_attempts_are_no_connections() -> None:
    refused = "client:40000 > server:80 | E E E\nunseen client 0 2 0\ncount client AttemptFails 0 2 2"
    assert outcome(refused, "{client: {connections: 0}}") is PASS


def test_an_end_that_was_seen_in_its_handshake_only_is_counted_once() -> None:
    """The server's end was shown in SYN_RECV; the client's shows that the handshake was finished."""
    run = "client:1 > server:80 | - E T T\nserver:80 > client:1 | - SR - -\nserver:80 | L L L L\nunseen server 0 0 1 0"
    assert worded(history(run), "{server: {connections: 1}}").outcome is PASS
    assert worded(history(run), "{server: {first_fin: 0}}").outcome is PASS
    assert worded(history(run), "{where: {port: 9}, server: {connections: 0}}").outcome is PASS


def test_a_first_fin_of_an_end_that_is_no_node_is_not_this_node_s() -> None:
    run = history("client:41000 > 203.0.113.9:443 | - E CW CW")
    assert worded(run, "{over: start .. end, client: {first_fin: 0}}").outcome == "pass"


def test_a_connection_of_a_node_with_itself_is_counted_once_per_end() -> None:
    run = "server:5 > server:80 | - - T T\nserver:80 | L L L L\nunseen server 0 0 1 0"
    assert worded(history(run), "{server: {connections: 2}}").outcome is PASS


def test_an_unseen_end_is_chosen_by_the_address_of_the_other() -> None:
    run = """
        client:41000 > server:8080 | -  -  T  T
        client:41001 > server:9090 | -  -  T  T
        server:8080                | L  L  L  L
        server:9090                | L  L  L  L
        unseen server 0 0 2 0
    """
    assert outcome(run, "{server: {connections: 2}}") is PASS
    assert outcome(run, "{where: {port: 9090}, server: {connections: 1}}") is PASS
    assert outcome(run, "{where: {peer: proxy}, server: {connections: 0}}") is PASS


# -- who closed first --------------------------------------------------------------------------------------------

CLOSES = """
    client:1 > server:80 | -  E  E  T  T
    server:80 > client:1 | -  E  E  -  -
    client:2 > server:80 | -  E  CW CW CW
    server:80 > client:2 | -  E  F2 F2 F2
    client:3 > server:80 | -  E  E  E  E
    server:80 > client:3 | -  E  E  E  E
    server:80            | L  L  L  L  L
"""


def test_first_fin_counts_closed_connections() -> None:
    run = history(CLOSES)
    assert [
        in_words(each).actual for each in verdict(run, "{client: {first_fin: 1}, server: {first_fin: 1}}").facts
    ] == [
        "1",
        "1",
    ]
    assert worded(run, "{over: start .. start + 2s, client: {first_fin: 0}}").outcome is PASS
    assert worded(run, "{at: start + 2500ms, client: {first_fin: 1}}").actual == "0..1"
    (line,) = worded(run, "{server: {first_fin: 1}}").evidence
    assert line == "client 198.18.0.2:2 -> server 198.18.0.3:80 first FIN by server: CLOSE_WAIT seen on client"


def test_a_close_that_no_tick_saw_may_be_anybodys() -> None:
    run = "client:1 > server:80 | - E - -\nserver:80 > client:1 | - E - -"
    assert worded(history(run), "{client: {first_fin: 1}}").actual == "0..1"
    assert worded(history(run), "{client: {first_fin: 2..}}").outcome is FAIL


def test_a_short_connection_is_decided_by_the_end_that_stays() -> None:
    """The server's end lived between two ticks; the client's TIME_WAIT says who closed."""
    run = "client:1 > server:80 | - - T T\nserver:80 | L L L L\nunseen server 0 0 1 0"
    found = verdict(history(run), "{client: {first_fin: 1}, server: {first_fin: 0, connections: 1}}")
    assert found.outcome is PASS


def test_a_connection_of_which_both_ends_were_unseen_may_have_been_closed_by_either() -> None:
    run = "server:80 | L L L\nunseen server 0 1 0\nunseen client 0 1 0"
    assert worded(history(run), "{server: {first_fin: 0}}").actual == "0..1"


# -- every connection, every stay --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "expectation", "expected", "actual"),
    [
        ([(1, 41000, 1), (2, 41000, 2)], "2", PASS, "2"),
        ([(1, 41000, 1), (2, 41001, 1)], "1", PASS, "1"),
        ([(1, 41000, 1), (2, 41000, 1)], "1", PASS, "1"),  # the port was used again
        ([(1, 41000, 1), (2, 41000, 2), (2.5, 41001, 1)], "2", FAIL, "1..2"),
        ([(1, 0, 1)], "0..5", UNKNOWN, "none"),
        ([], "0..5", UNKNOWN, "none"),
    ],
)
def test_requests_per_connection(
    requests: list[tuple[float, int, int]], expectation: str, expected: Outcome, actual: str
) -> None:
    run = history(TALK, *(request(t, port, nth=nth) for t, port, nth in requests))
    found = worded(run, f"{{client: {{requests_per_connection: {expectation}}}}}")
    assert (found.outcome, found.actual) == (expected, actual)


@pytest.mark.parametrize("unsaid", ["nth", "reused"])
def test_either_sign_of_a_first_request_cuts_the_connection(unsaid: str) -> None:
    requests = [request(t) for t in (1, 2)]
    for event in requests:
        del event[unsaid]
    assert worded(history(TALK, *requests), "{client: {requests_per_connection: 1}}").outcome is PASS


def test_requests_per_connection_counts_those_of_the_window() -> None:
    run = history(TALK, request(0.5), request(1.5, nth=2), request(2.5, nth=3))
    assert worded(run, "{over: start + 1s .. end, client: {requests_per_connection: 2}}").outcome is PASS
    assert worded(run, "{server: {requests_per_connection: 2}}").reason == "server does not report its requests"
    assert worded(run, "{over: start .. end + 1s, client: {requests_per_connection: 3}}").outcome is UNKNOWN


WAITS = "ticks 0 1 2 61 62 63\nclient:1 > server:80 | E T T T - -"


@pytest.mark.parametrize(
    ("run", "fact_text", "expected"),
    [
        (WAITS, "{TIME_WAIT: 60s..62.1s}", PASS),  # 60 to 62 s by the samples
        (WAITS, "{TIME_WAIT: 61s..}", UNKNOWN),
        (WAITS, "{TIME_WAIT: ..59s}", FAIL),
        (WAITS, "{TIME_WAIT: 63s..}", FAIL),
        (WAITS, "{ESTABLISHED: ..2s}", UNKNOWN),  # it was there before the first sample
        (WAITS, "{CLOSE_WAIT: 0s..}", UNKNOWN),  # matched nothing
        ("client:1 > server:80 | - E E E", "{ESTABLISHED: 0s..}", UNKNOWN),  # not finished
        ("client:1 > server:80 | - E CW -\nclient:2 > server:80 | - E E CW", "{ESTABLISHED: 1s..}", UNKNOWN),
        ("client:1 > server:80 | - E CW -\nclient:2 > server:80 | - E E CW", "{ESTABLISHED: ..3s}", PASS),
        ("client:1 > server:80 | - E CW CW -\nclient:2 > server:80 | E E - - -", "{CLOSE_WAIT: 1s..3s}", UNKNOWN),
        ("client:1 > server:80 | - E CW CW -\nclient:2 > server:80 | E E - - -", "{CLOSE_WAIT: ..3s}", PASS),
        ("client:1 > server:80 | - E CW CW -\nunseen client 0 1 0 0 0", "{CLOSE_WAIT: 1s..3s}", UNKNOWN),
    ],
)
def test_how_long_stays_lasted(run: str, fact_text: str, expected: Outcome) -> None:
    assert outcome(run, f"{{client: {{lasts: {fact_text}}}}}") is expected


def test_a_stay_that_perhaps_ended_in_the_window_cannot_fail_it() -> None:
    run = "client:1 > server:80 | - E CW - - - -\nclient:2 > server:80 | - E CW CW CW CW -"
    assert outcome(run, "{over: start .. start + 5500ms, client: {lasts: {CLOSE_WAIT: ..2s}}}") is UNKNOWN
    assert outcome(run, "{over: start .. start + 5s, client: {lasts: {CLOSE_WAIT: ..2s}}}") is PASS
    assert outcome(run, "{over: start .. end, client: {lasts: {CLOSE_WAIT: ..2s}}}") is FAIL


def test_a_stay_counts_where_it_ended() -> None:
    run = "client:1 > server:80 | - E CW CW CW -"
    assert outcome(run, "{over: start .. start + 4s, client: {lasts: {CLOSE_WAIT: 0s..}}}") is UNKNOWN
    assert outcome(run, "{over: start + 4s .. end, client: {lasts: {CLOSE_WAIT: 0s..}}}") is PASS
    assert outcome(run, "{over: start + 4500ms .. end, client: {lasts: {CLOSE_WAIT: ..1s}}}") is UNKNOWN


def test_margins_of_counts_and_durations() -> None:
    run = history(TALK, *REQUESTS)
    assert worded(run, "{client: {requests: 4..9}}").margin == "2 requests"
    assert worded(run, "{client: {requests: 0..}}").margin == ""
    assert worded(history(WAITS), "{client: {lasts: {TIME_WAIT: 57s..65s}}}").margin == "3s"


def test_first_close_counts_by_whose_program_closed_first() -> None:
    run = history(CLOSES)
    assert verdict(run, "{client: {first_close: 1}, server: {first_close: 1}}").outcome is PASS
    assert worded(run, "{over: start .. start + 1s, client: {first_close: 0}}").outcome is PASS
    assert worded(run, "{client: {first_close: 0}}").outcome is FAIL


def test_a_program_whose_peer_had_closed_was_not_the_first() -> None:
    run = history("client:1 > server:80 | - E CW LA -\nserver:80 > client:1 | - E F2 F2 T\nserver:80 | L L L L L")
    assert verdict(run, "{client: {first_close: 0}, server: {first_close: 1}}").outcome is PASS


def test_two_closes_between_two_samples_are_in_no_order() -> None:
    run = history("client:1 > server:80 | - E F1 T\nserver:80 > client:1 | - E F1 -")
    assert worded(run, "{client: {first_close: 1}}").actual == "0..1"
    assert worded(run, "{server: {first_close: 1}}").actual == "0..1"


def test_whoever_is_still_there_has_not_closed() -> None:
    vanished = history("client:1 > server:80 | - E - -\nserver:80 > client:1 | - E E E")
    assert worded(vanished, "{client: {first_close: 1}}").actual == "0..1", "samples do not show why it is gone"
    assert worded(vanished, "{server: {first_close: 0}}").outcome is PASS
    never = history("client:1 > server:80 | - SS SS -")
    assert worded(never, "{client: {first_close: 0}}").outcome is PASS, "there was no connection"


# -- the kernel's counters -----------------------------------------------------------------------------------------

COUNTED = """
    ticks 0 0.2 0.4 0.6 0.8 2
    server:8080 | L L L L L L
    count server TW 0 0 0 2 2 3
    count server OutRsts 0 0 0 2 2 3
    moment early.end 0.2
    moment late.end 0.6
"""


@pytest.mark.parametrize(
    ("when", "resets", "minisockets"),
    [
        ("over: start .. early.end", "0", "0"),
        ("over: early.end .. late.end", "2", "2"),
        ("over: start .. early.end + 100ms", "0", "0..2"),  # TW is read at moments, and once a second
        ("over: start .. early.end + 200ms", "0", "0..2"),
        ("over: late.end .. late.end + 200ms", "0", "0..1"),
        ("over: start .. end", "3", "3"),
    ],
)
def test_counters_by_name(when: str, resets: str, minisockets: str) -> None:
    run = history(COUNTED)
    for name, actual in (("OutRsts", resets), ("TW", minisockets)):
        assert worded(run, f"{{{when}, server: {{counters: {{{name}: 99}}}}}}").actual == actual


def test_a_counter_that_the_last_tick_did_not_read_is_unknown_there() -> None:
    run = history(COUNTED + "moment end 0.6\n")
    assert worded(run, "{over: start .. end + 100ms, server: {counters: {TW: 2}}}").outcome is UNKNOWN
    assert worded(run, "{over: start .. end, server: {counters: {TW: 2}}}").outcome is PASS
