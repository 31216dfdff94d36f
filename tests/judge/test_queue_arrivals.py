"""What a tick showed of a listener's queue stands only until the trace shows that a connection came."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.history.model import History, Socket, StateInterval, UnknownInterval
from orchestrator.history.readings import QueueReading
from orchestrator.recording.verdict import Outcome
from orchestrator.tcp.states import TcpState
from tests.support.builders import HOSTS, history, verdict

_SERVER = f"{HOSTS['server']}:8080"

RUN = """
    ticks 0 1 2 3
    moment load.start 1.1
    moment load.end 1.3
    server:8080 {origin/7} | L L L L
"""


def _child(port: int, t: float) -> Socket:
    """A connection that somebody called, established at `t`."""
    gaps = (UnknownInterval(t - 1e-9, t, frozenset({TcpState.CLOSED, TcpState.ESTABLISHED})),)
    stays = (StateInterval(TcpState.ESTABLISHED, t, 3.0),)
    queues = (QueueReading(2.0, 0, 0),)
    return Socket("server", f"c{port}", _SERVER, f"{HOSTS['client']}:{port}", stays, gaps, queues)


def traced(*times: float, text: str = RUN) -> History:
    """The run by trace, with connections that came at these times."""
    run = history(text)
    children = tuple(_child(41000 + number, t) for number, t in enumerate(times))
    return replace(run, exact=True, sockets=(*run.sockets, *children))


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{at: load.end, server: {recv_q: {LISTEN: 1}}}", Outcome.UNKNOWN),  # once a false fail
        ("{at: load.end, server: {recv_q: {LISTEN: 0}}}", Outcome.UNKNOWN),
        ("{at: load.start, server: {recv_q: {LISTEN: 1}}}", Outcome.UNKNOWN),
        ("{at: load.end, server: {recv_q: {LISTEN: 0..1}}}", Outcome.PASS),  # no more came
        ("{at: load.end, server: {recv_q: {LISTEN: 2..}}}", Outcome.FAIL),
        ("{at: load.end, server: {send_q: {LISTEN: 0}}}", Outcome.PASS),  # how many it may hold
        ("{at: start + 1s, server: {recv_q: {LISTEN: 0}}}", Outcome.PASS),
        ("{at: start + 1s, server: {recv_q: {LISTEN: 1}}}", Outcome.FAIL),
        ("{at: start + 2s, server: {recv_q: {LISTEN: 0}}}", Outcome.PASS),
        ("{at: start + 2500ms, server: {recv_q: {LISTEN: 0}}}", Outcome.PASS),
        ("{eventually: start .. end, server: {recv_q: {LISTEN: 1}}}", Outcome.UNKNOWN),
        ("{eventually: start .. end, server: {recv_q: {LISTEN: 2}}}", Outcome.FAIL),
        ("{always: start .. end, server: {recv_q: {LISTEN: 0}}}", Outcome.UNKNOWN),
        ("{always: start + 2s .. end, server: {recv_q: {LISTEN: 0}}}", Outcome.PASS),
    ],
)
def test_a_reading_stands_until_a_connection_comes(expectation: str, expected: Outcome) -> None:
    assert verdict(traced(1.1), expectation).outcome is expected


def test_each_that_came_may_wait() -> None:
    run = traced(1.1, 1.2)
    assert verdict(run, "{at: load.end, server: {recv_q: {LISTEN: 2}}}").outcome is Outcome.UNKNOWN
    assert verdict(run, "{at: load.end, server: {recv_q: {LISTEN: 3}}}").outcome is Outcome.FAIL
    assert verdict(run, "{at: start + 1150ms, server: {recv_q: {LISTEN: 2}}}").outcome is Outcome.FAIL


def test_what_came_after_the_last_tick_changes_nothing_before() -> None:
    assert verdict(traced(2.5), "{at: load.end, server: {recv_q: {LISTEN: 0}}}").outcome is Outcome.PASS


def test_of_another_port_nothing_comes_here() -> None:
    text = RUN.replace("server:8080", "server:9090")
    assert verdict(traced(1.1, text=text), "{at: load.end, server: {recv_q: {LISTEN: 1}}}").outcome is Outcome.FAIL


def test_without_a_trace_ticks_are_all_there_is() -> None:
    run = replace(traced(1.1), exact=False)
    assert verdict(run, "{at: load.end, server: {recv_q: {LISTEN: 0}}}").outcome is Outcome.PASS
