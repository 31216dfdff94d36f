"""The judge's rules for facts about instants: gauges, queues, and the words of their verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.judge.timeline import Grid, Span
from orchestrator.recording.verdict import Outcome
from tests.support.builders import history, in_words, verdict, worded

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL

IDLE = """
    moment load.end 2
    moment idle.end 4
    client:41000 > server:8080 {python3/123} | -  E  E  CW/1  CW/1  LA  -
    server:8080 {origin/7}                   | L  L  L  L     L     L   L
    server:8080 > client:41000 {origin/7}    | -  E  E  F2    F2    F2  T
    count server TW 0 0 0 0 0 0 1
"""


def outcome(run: str, expectation: str) -> Outcome:
    return verdict(history(run), expectation).outcome


# -- gauges at a moment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{at: idle.end, client: {CLOSE_WAIT: 1}}", PASS),
        ("{at: idle.end, client: {CLOSE_WAIT: 2}}", FAIL),
        ("{at: idle.end, client: {CLOSE_WAIT: 1, ESTABLISHED: 1}}", FAIL),
        ("{at: load.end + 500ms, client: {CLOSE_WAIT: 1}}", UNKNOWN),
        ("{at: load.end + 500ms, client: {CLOSE_WAIT: ..1}}", PASS),
        ("{at: load.end + 500ms, client: {CLOSE_WAIT: 2..}}", FAIL),
        ("{at: idle.end - 500ms, client: {CLOSE_WAIT: 1}}", PASS),
        ("{at: idle.end, server: {LISTEN: 1, FIN_WAIT2: 1, others: 0}}", PASS),
        ("{at: idle.end, server: {LISTEN: 1, others: 0}}", FAIL),
        ("{at: idle.end, server: {others: 1}}", PASS),
        ("{server: {TIME_WAIT: 1, others: 0}, client: {others: 0}}", PASS),
        ("{at: idle.end, client: {others: 0, recv_q: {CLOSE_WAIT: 1}}}", PASS),
    ],
)
def test_a_gauge_at_a_moment(expectation: str, expected: Outcome) -> None:
    assert outcome(IDLE, expectation) is expected


def test_a_gap_of_which_every_state_is_asked_for_counts() -> None:
    """Between ESTABLISHED and CLOSE_WAIT the socket was in one of the two."""
    run = history(IDLE)
    assert worded(run, "{at: load.end + 500ms, client: {others: 1}}").outcome is PASS
    both = verdict(run, "{at: load.end + 500ms, client: {FIN_WAIT1: 0, others: 1}}")
    assert both.outcome is PASS


def test_a_service_is_the_sum_of_its_nodes() -> None:
    run = history("app-1:80 > client:5 | E E\napp-2:80 > client:6 | E CW\n")
    assert worded(run, "{app: {ESTABLISHED: 1, }}").actual == "1"
    assert verdict(run, "{at: start, app: {ESTABLISHED: 2}, app-1: {ESTABLISHED: 1}}").outcome is PASS


def test_unseen_sockets_may_have_been_in_any_state_between_two_ticks() -> None:
    run = "server:8080 | L L L\nunseen server 0 0 2"
    assert outcome(run, "{always: start .. start + 1s, server: {ESTABLISHED: 0}}") is PASS
    assert outcome(run, "{always: start .. end, server: {ESTABLISHED: ..1}}") is UNKNOWN
    assert outcome(run, "{always: start .. end, server: {ESTABLISHED: ..2, LISTEN: 1}}") is PASS
    assert outcome(run, "{never: start .. end, server: {TIME_WAIT: 0}}") is PASS  # none was armed


# -- where -------------------------------------------------------------------------------------------------------

TWO = """
    client:41000 > server:8080 {python3/1} | E E
    client:41001 > proxy:80 {curl/2}       | E E
    client:41002 > proxy:80                | T T
"""


@pytest.mark.parametrize(
    ("where", "established", "expected"),
    [
        ("{port: 8080}", 1, PASS),
        ("{port: 41001}", 1, PASS),
        ("{port: 9}", 0, PASS),
        ("{peer: proxy}", 1, PASS),
        ("{peer: 198.18.0.3}", 1, PASS),
        ("{peer: app}", 0, PASS),
        ("{owner: curl}", 1, PASS),
        ("{owner: curl, peer: server}", 0, PASS),
        ("{peer: nobody}", 0, UNKNOWN),
    ],
)
def test_where_chooses_sockets(where: str, established: int, expected: Outcome) -> None:
    assert outcome(TWO, f"{{where: {where}, client: {{ESTABLISHED: {established}}}}}") is expected


def test_a_socket_without_a_known_owner_may_be_anybodys() -> None:
    found = worded(history(TWO), "{where: {owner: curl}, client: {TIME_WAIT: 0}}")
    assert (found.outcome, found.actual) == (UNKNOWN, "0..1")
    assert "the owner of some sockets is not known" in found.reason


# -- always, never, eventually -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{always: idle.end - 1s .. idle.end, client: {CLOSE_WAIT: 1}}", PASS),
        ("{always: load.end .. idle.end, client: {CLOSE_WAIT: 1}}", FAIL),
        ("{always: load.end + 500ms .. idle.end, client: {CLOSE_WAIT: 1}}", UNKNOWN),
        ("{always: load.end .. idle.end, client: {CLOSE_WAIT: ..1}, server: {TIME_WAIT: 0}}", PASS),
        ("{never: start .. end, client: {TIME_WAIT: 0}}", PASS),
        ("{never: start .. end, server: {TIME_WAIT: 0}}", FAIL),
        ("{never: start .. idle.end, server: {TIME_WAIT: 0}}", PASS),
        ("{eventually: start .. end, client: {CLOSE_WAIT: 1}}", PASS),
        ("{eventually: start .. load.end, client: {CLOSE_WAIT: 1}}", FAIL),
        ("{eventually: start .. load.end + 1ms, client: {CLOSE_WAIT: 1}}", UNKNOWN),
        ("{eventually: start .. end, client: {CLOSE_WAIT: 1}, server: {ESTABLISHED: 1}}", UNKNOWN),
        ("{eventually: start .. end, client: {CLOSE_WAIT: 1}, server: {TIME_WAIT: 1}}", FAIL),
        ("{eventually: start .. end, client: {LAST_ACK: 1}, server: {TIME_WAIT: 1}}", UNKNOWN),
        ("{eventually: start .. idle.end, client: {LAST_ACK: 1}, server: {ESTABLISHED: 1}}", FAIL),
        ("{eventually: start .. end, for: 1s, client: {CLOSE_WAIT: 1}}", PASS),
        ("{eventually: start .. end, for: 2s, client: {CLOSE_WAIT: 1}}", UNKNOWN),
        ("{eventually: start .. end, for: 3001ms, client: {CLOSE_WAIT: 1}}", FAIL),
        ("{eventually: start .. idle.end - 1s, for: 1s, client: {CLOSE_WAIT: 1}}", PASS),
        ("{eventually: start .. load.end, for: 1s, client: {CLOSE_WAIT: 1}}", FAIL),
        ("{eventually: idle.end .. idle.end, for: 999ms, client: {CLOSE_WAIT: 1}}", UNKNOWN),
        ("{eventually: idle.end .. idle.end, for: 1s, client: {CLOSE_WAIT: 1}}", FAIL),
        ("{eventually: end .. end, for: 1s, server: {TIME_WAIT: 1}}", UNKNOWN),
        ("{eventually: end .. end, for: 1s, server: {TIME_WAIT: 2}}", FAIL),
    ],
)
def test_quantifiers(expectation: str, expected: Outcome) -> None:
    assert outcome(IDLE, expectation) is expected


def test_two_facts_must_hold_at_the_same_instant() -> None:
    run = "client:41000 > server:8080 | E CW CW\nclient:41001 > server:8080 | E E CW"
    assert outcome(run, "{eventually: start .. end, client: {ESTABLISHED: 2, CLOSE_WAIT: 2}}") is FAIL
    assert outcome(run, "{eventually: start .. end, client: {ESTABLISHED: 1, CLOSE_WAIT: 1}}") is PASS


def test_a_stretch_that_is_too_short_fails_with_its_length() -> None:
    found = verdict(history(IDLE), "{eventually: start .. end, for: 4s, client: {CLOSE_WAIT: 1}}")
    assert found.outcome is FAIL
    assert "it held for at most 3s from load.end, not for 4s" in in_words(found.facts[0]).reason


def test_facts_that_never_hold_together_are_shown_where_most_of_them_do() -> None:
    text = "{eventually: start .. load.end, client: {ESTABLISHED: 1, CLOSE_WAIT: 1}, server: {ESTABLISHED: 1}}"
    found = verdict(history(IDLE), text)
    assert [each.outcome for each in found.facts] == [PASS, FAIL, PASS]


# -- what was not observed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["at: end + 1s", "always: start .. end + 1s", "eventually: end + 1s .. end + 2s"])
def test_beyond_the_recording_nothing_is_known(when: str) -> None:
    found = worded(history(IDLE), f"{{{when}, server: {{LISTEN: 1}}}}")
    assert found.outcome is UNKNOWN
    assert "after the last sample" in found.reason


def test_a_part_that_was_observed_can_still_fail_or_pass() -> None:
    assert outcome(IDLE, "{always: start .. end + 1s, client: {ESTABLISHED: 1}}") is FAIL
    assert outcome(IDLE, "{eventually: start .. end + 1s, client: {CLOSE_WAIT: 1}}") is PASS
    assert outcome(IDLE, "{eventually: start .. end + 1s, client: {CLOSE_WAIT: 5}}") is UNKNOWN


@pytest.mark.parametrize("when", ["at: reuse.end", "always: start .. reuse.end", "eventually: reuse.end .. end"])
def test_a_moment_that_was_never_reached_is_unknown(when: str) -> None:
    run = replace(history(IDLE), end={"outcome": "interrupted", "detail": "Ctrl-C"})
    found = worded(run, f"{{{when}, server: {{LISTEN: 1}}}}")
    assert found.outcome is UNKNOWN
    assert found.reason == "the run never reached reuse.end: it was interrupted (Ctrl-C)"


def test_an_empty_window_is_said() -> None:
    found = worded(history(IDLE), "{always: end .. start, server: {LISTEN: 1}}")
    assert (found.outcome, found.reason) == (UNKNOWN, "the window is empty: end (6s) is after start (0s)")


def test_a_node_that_the_recording_does_not_have() -> None:
    found = worded(history(IDLE), "{cache: {LISTEN: 1}}")
    assert found.outcome is UNKNOWN
    assert "the recording has no node cache; it has client, server" in found.reason


def test_a_node_that_was_never_sampled() -> None:
    found = worded(history("client:5 > server:80 | ? ? ?\nserver:80 | L L L"), "{client: {ESTABLISHED: 0}}")
    assert (found.outcome, found.reason) == (UNKNOWN, "client was never sampled")


def test_a_missed_tick_leaves_only_what_did_not_change() -> None:
    run = "moment m.end 1\nclient:41000 > server:8080 | E ? E ? CW\n"
    assert outcome(run, "{at: m.end, client: {ESTABLISHED: 1}}") is PASS
    assert outcome(run, "{at: m.end + 2s, client: {ESTABLISHED: 1}}") is UNKNOWN
    assert outcome(run, "{at: m.end + 2s, client: {FIN_WAIT1: 0}}") is PASS


def test_coarse_sampling_is_named() -> None:
    run = "ticks 0 0.05 2.05 2.1\nclient:41000 > server:8080 | E E CW CW"
    found = worded(history(run), "{always: start .. end, client: {ESTABLISHED: 0..1, }}")
    assert found.outcome is PASS
    found = worded(history(run), "{at: start + 1s, client: {ESTABLISHED: 1}}")
    assert "sampled too coarsely: no sample between 0.05s and 2.05s, one every 50ms was meant" in found.reason
    found = worded(history(run, period=1.0), "{at: start + 1s, client: {ESTABLISHED: 1}}")
    assert "coarsely" not in found.reason


def test_a_run_without_samples_proves_nothing() -> None:
    run = replace(history(IDLE), ticks=(), sockets=(), unobserved=(), connections=())
    found = verdict(run, "{client: {ESTABLISHED: 0, connections: 0}}")
    assert [each.outcome for each in found.facts] == [UNKNOWN, UNKNOWN]


# -- queues ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{at: idle.end, client: {recv_q: {CLOSE_WAIT: 1}}}", PASS),
        ("{at: idle.end, client: {recv_q: {CLOSE_WAIT: 0}}}", FAIL),
        ("{at: idle.end, client: {send_q: {CLOSE_WAIT: 0}}}", PASS),
        ("{at: load.end, client: {recv_q: {CLOSE_WAIT: 1}}}", UNKNOWN),  # matched nothing
        ("{at: load.end, client: {recv_q: {CLOSE_WAIT: 0..}}}", UNKNOWN),
        ("{at: load.end + 500ms, client: {recv_q: {CLOSE_WAIT: 1}}}", UNKNOWN),
        ("{always: idle.end - 1s .. idle.end, client: {recv_q: {CLOSE_WAIT: 1}}}", PASS),
        ("{eventually: start .. end, client: {recv_q: {CLOSE_WAIT: 1}}}", PASS),
        ("{eventually: start .. end, client: {recv_q: {CLOSE_WAIT: 7}}}", UNKNOWN),  # gaps may hide it
    ],
)
def test_queues(expectation: str, expected: Outcome) -> None:
    assert outcome(IDLE, expectation) is expected


def test_between_two_readings_both_must_agree() -> None:
    run = "client:41000 > server:8080 | E/5 E/5 E/6 E/0"
    assert outcome(run, "{always: start .. start + 2s, client: {recv_q: {ESTABLISHED: 5..6}}}") is PASS
    assert outcome(run, "{at: start + 2500ms, client: {recv_q: {ESTABLISHED: 5..6}}}") is UNKNOWN
    assert outcome(run, "{at: start + 1500ms, client: {recv_q: {ESTABLISHED: 5}}}") is UNKNOWN
    assert outcome(run, "{at: start + 500ms, client: {recv_q: {ESTABLISHED: 6}}}") is FAIL


def test_a_queue_that_changed_between_two_samples_is_unknown_though_others_are_right() -> None:
    run = "client:1 > server:80 | E/5 E/6\nclient:2 > server:80 | E/5 E/5"
    assert outcome(run, "{at: start + 500ms, client: {recv_q: {ESTABLISHED: 5}}}") is UNKNOWN


def test_one_wrong_queue_is_enough_and_is_shown_first() -> None:
    run = history("client:1 > server:80 | E/1\nclient:2 > server:80 | E/0\nclient:3 > server:80 | E/1")
    found = worded(run, "{client: {recv_q: {ESTABLISHED: 1}}}")
    assert (found.outcome, found.actual) == (FAIL, "0..1")
    assert found.reason == "1 socket in ESTABLISHED on client with Recv-Q 0, expected 1 (end)"
    assert ":2 ->" in found.evidence[0]


def test_an_unseen_socket_may_have_had_any_queue() -> None:
    run = "client:1 > server:80 | E/1 E/1\nunseen client 0 1"
    assert outcome(run, "{always: start .. end, client: {recv_q: {ESTABLISHED: 1}}}") is UNKNOWN


def test_a_recording_may_claim_more_than_a_machine_word_holds() -> None:
    grid = Grid([1.0, 2.0])
    huge = [Span(1.0, 2.0, True, 0, 10**18)] * 20
    assert [list(counts) for counts in grid.count(huge)] == [[0, 0, 0], [20 * 10**18] * 3]
