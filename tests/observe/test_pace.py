"""When the probe looks: on a real clock at a steady pace, on a virtual one when something happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observe.pace import VIRTUAL, Schedule
from orchestrator.recording.verdict import Outcome
from orchestrator.tcp.states import TcpState as S
from tests.history.test_exact import connection, states, told
from tests.support.builders import history, verdict, worded

QUIET = 3600.0


def tick(schedule: Schedule, begun: float, *, news: bool = False, traced: bool = True) -> float:
    """Returns how long after the beginning of this tick the next one is due."""
    schedule.ticked(begun, 0.001, 0.001, nodes=2, traced=traced, news=news)
    return schedule.due - begun


def test_while_nothing_happens_ticks_become_rare() -> None:
    schedule, now, ticks = Schedule(1.0, QUIET), 0.0, 0
    tick(schedule, now, news=True)
    while (now := schedule.due) < 7200:
        assert tick(schedule, now) <= QUIET
        ticks += 1
    assert ticks < 15


def test_news_bring_the_next_tick_forward_but_not_before_its_time() -> None:
    schedule = Schedule(1.0, QUIET)
    for begun in (0.0, 10.0, 100.0):
        tick(schedule, begun)
    assert schedule.awaits_news and schedule.due > 101
    schedule.news()
    assert schedule.due == 101.0
    assert not schedule.awaits_news, "it is enough to be told once"
    assert tick(schedule, 101.0, news=True) == 1.0, "after news the pace is that of the beginning"


def test_without_a_trace_samples_are_all_there_is_and_come_steadily() -> None:
    schedule = Schedule(1.0, QUIET)
    assert [tick(schedule, float(begun), traced=False) for begun in range(10)] == [1.0] * 10
    assert not schedule.awaits_news


@given(st.lists(st.booleans(), min_size=1))
def test_on_a_real_clock_nothing_depends_on_what_happens(news: list[bool]) -> None:
    schedule = Schedule(0.05, None)
    for one in news:
        assert tick(schedule, 0.0, news=one) == 0.05
        assert not schedule.awaits_news


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_there_is_always_a_next_tick(news: list[bool]) -> None:
    """With no timer armed virtual time would stop."""
    assert VIRTUAL.quiet is not None
    schedule, now = Schedule(VIRTUAL.period, VIRTUAL.quiet), 0.0
    for one in news:
        assert VIRTUAL.period <= tick(schedule, now, news=one) <= VIRTUAL.quiet
        now = schedule.due


# -- what the judge makes of samples that are far apart ----------------------------------------------------------------

FAR = "client:41000 > server:8080 | - E CW/1 CW/1\nserver:8080 > client:41000 | - E F2 F2\nticks 0 1 10 4000"
LONG = [
    *states("client", 1, (0.5, S.SYN_SENT), (0.6, S.ESTABLISHED), (9.9, S.CLOSE_WAIT)),
    *states("server", 2, (0.55, S.SYN_RECV), (0.6, S.ESTABLISHED), (9.8, S.FIN_WAIT1), (9.95, S.FIN_WAIT2)),
]


def outcome(expectation: str) -> Outcome:
    return verdict(told(FAR, *LONG), expectation).outcome


def test_states_that_the_trace_tells_need_no_samples() -> None:
    assert outcome("{always: start + 11s .. end, client: {CLOSE_WAIT: 1, others: 0}}") is Outcome.PASS
    assert outcome("{at: start + 2000s, server: {FIN_WAIT2: 1}}") is Outcome.PASS
    assert outcome("{always: start + 2s .. start + 9s, client: {ESTABLISHED: 1}}") is Outcome.PASS
    assert outcome("{at: start + 9850ms, server: {FIN_WAIT1: 1}}") is Outcome.PASS


def test_a_queue_is_known_from_the_first_sample_in_its_state() -> None:
    assert outcome("{always: start + 10s .. end, client: {recv_q: {CLOSE_WAIT: 1}}}") is Outcome.PASS
    assert outcome("{at: start + 9950ms, client: {recv_q: {CLOSE_WAIT: 1}}}") is Outcome.UNKNOWN
    assert outcome("{at: start + 9900ms, client: {recv_q: {CLOSE_WAIT: 1}}}") is Outcome.UNKNOWN
    assert outcome("{at: start + 9900ms, client: {recv_q: {CLOSE_WAIT: 0}}}") is Outcome.UNKNOWN
    assert outcome("{at: start + 10s, client: {recv_q: {CLOSE_WAIT: 0}}}") is Outcome.FAIL


def test_the_queue_of_a_socket_that_no_sample_saw_is_unknown() -> None:
    brief = "client:9 > server:9 | - -\nunseen server 0 1\nunseen client 0 1\ncount client TW 0 1"
    run = told(brief, *connection(1, 0.5, 0.6))
    found = worded(run, "{at: start + 550ms, client: {recv_q: {ESTABLISHED: 0}}}")
    assert found.outcome is Outcome.UNKNOWN
    assert "the samples do not tell the Recv-Q" in found.reason


def test_samples_alone_prove_nothing_between_two_that_differ() -> None:
    run = history(FAR)
    assert not run.exact
    assert verdict(run, "{always: start + 2s .. start + 9s, client: {ESTABLISHED: 1}}").outcome is Outcome.UNKNOWN


def test_only_what_samples_decide_is_called_sampled_too_coarsely() -> None:
    run = told(FAR, *LONG)
    instant = worded(run, "{always: start + 2s .. start + 20s, client: {recv_q: {CLOSE_WAIT: 1}}}")
    assert "sampled too coarsely" in instant.reason
    of_state = worded(run, "{eventually: start + 20s .. end, for: 2h, client: {CLOSE_WAIT: 1}}")
    assert of_state.outcome is Outcome.UNKNOWN
    assert "the recording ends too early" in of_state.reason
    assert "coarsely" not in of_state.reason
