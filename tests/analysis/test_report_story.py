"""The sentences: who closed first, where TIME_WAIT was seen, what stands at the end, what the clients got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.analysis.states import Count, count_states, moments_by_instant, recv_q
from orchestrator.analysis.summary import connection_groups
from orchestrator.history.index import Index
from orchestrator.history.model import Closing, Connection, History, Socket, StateInterval, UnknownInterval, Unobserved
from orchestrator.report.words.summaries import group as words_of
from orchestrator.report.words.summaries import sentences
from orchestrator.tcp.states import TcpState
from tests.support.closings import STILL_OPEN, UNKNOWN, crossed, fin, seen
from tests.support.report_samples import CLIENT, END, SERVER, idle_history, request, socket

Life = Sequence[tuple[str, float, float]]


def history_of(*connections: Connection, **changes: object) -> History:
    ends = [end for each in connections for end in (each.client, each.server) if end]
    return replace(idle_history(requests=()), connections=connections, sockets=tuple(ends), **changes)  # type: ignore[arg-type]


def one(
    client: Life, server: Life | None, closing: Closing = STILL_OPEN, *, port: int = 40000, node: str = "client"
) -> Connection:
    first = socket(node, f"{CLIENT}:{port}", f"{SERVER}:8080", client)
    second = socket("server", f"{SERVER}:8080", f"{CLIENT}:{port}", server) if server else None
    return Connection(first, second, (0.3, 0.35), node, "server", closing)


OPEN = ("ESTABLISHED", 0.35, 1.0)
STORIES = {
    "client closed first; TIME_WAIT on client": one(
        [OPEN, ("TIME_WAIT", 1.05, END)], [OPEN], fin("client", seen("TIME_WAIT", "client"))
    ),
    "server closed first; TIME_WAIT on server": one([OPEN], [OPEN, ("TIME_WAIT", 1.05, END)], fin("server")),
    "still open at the end": one([("ESTABLISHED", 0.35, END)], [("ESTABLISHED", 0.35, END)]),
    "server closed first; at the end still CLOSE_WAIT on client, FIN_WAIT2 on server": one(
        [OPEN, ("CLOSE_WAIT", 1.05, END)], [OPEN, ("FIN_WAIT2", 1.05, END)], fin("server")
    ),
    "server closed first; TIME_WAIT on server; at the end still LAST_ACK on client": one(
        [OPEN, ("LAST_ACK", 1.05, END)], [OPEN, ("TIME_WAIT", 1.05, END)], fin("server")
    ),
    "server closed first; no TIME_WAIT seen": one([OPEN, ("CLOSE_WAIT", 1.05, 2.0)], [OPEN], fin("server")),
    "the samples do not show who closed first": one([OPEN], [OPEN], UNKNOWN),
    "both closed at the same time; TIME_WAIT on client and server": one(
        [OPEN, ("TIME_WAIT", 1.05, END)],
        [OPEN, ("TIME_WAIT", 1.05, END)],
        crossed(seen("TIME_WAIT", "client"), seen("TIME_WAIT", "server")),
    ),
    "never seen established": one([("SYN_SENT", 0.35, 2.0)], None, UNKNOWN),
}


@pytest.mark.parametrize("told", STORIES)
def test_the_fate_of_a_connection(told: str) -> None:
    assert sentences(history_of(STORIES[told])) == [f"1 connection client -> server:8080: {told}"]


def test_what_the_teardown_closes_was_open_at_the_end() -> None:
    later: Life = [("ESTABLISHED", 0.35, END), ("TIME_WAIT", END + 0.05, END + 0.1)]
    torn = one(later, later, fin("client", at=(END, END + 0.05)))
    assert sentences(history_of(torn)) == ["1 connection client -> server:8080: still open at the end"]


def test_alike_connections_share_a_sentence_whatever_shows_it() -> None:
    life: Life = [OPEN, ("TIME_WAIT", 1.05, END)]
    shown = [
        fin("client", seen(state, "client"), at=(t, t)) for t, state in enumerate(("TIME_WAIT", "CLOSING", "TIME_WAIT"))
    ]
    same = [one(life, None, closing, port=port) for port, closing in enumerate(shown)]
    (group,) = connection_groups(history_of(*same))
    assert words_of(group) == "3 connections client -> server:8080: client closed first; TIME_WAIT on client"
    assert sorted(group.closings.values()) == [1, 2], "what shows it, whenever it was"


def test_replicas_share_a_sentence_under_the_name_of_their_service() -> None:
    life: Life = [OPEN, ("TIME_WAIT", 1.05, END)]
    leak: Life = [OPEN, ("CLOSE_WAIT", 1.05, END)]
    connections = [
        one(life, None, fin("client-1"), port=1, node="client-1"),
        one(life, None, fin("client-2"), port=2, node="client-2"),
        one(leak, None, fin("server"), port=3, node="client-2"),
    ]
    history = history_of(*connections, groups={"client": ("client-1", "client-2")})
    assert sentences(history) == [
        "2 connections client -> server:8080: client closed first; TIME_WAIT on client",
        "1 connection client-2 -> server:8080: server closed first; at the end still CLOSE_WAIT on client-2",
    ]


def test_an_end_that_is_no_node_is_named_by_its_address() -> None:
    lonely = replace(STORIES["still open at the end"], server=None, server_node=None)
    assert sentences(history_of(lonely)) == [f"1 connection client -> {SERVER}:8080: still open at the end"]
    lonely = replace(STORIES["still open at the end"], client=None, client_node=None)
    assert sentences(history_of(lonely)) == [f"1 connection {CLIENT} -> server:8080: still open at the end"]


def test_unseen_sockets_are_told_unless_their_connection_is() -> None:
    states = frozenset({TcpState.ESTABLISHED, TcpState.CLOSED})
    unobserved = (Unobserved("server", 0.3, 0.4, 3, 3, 3, states),)
    half_observed = one([OPEN, ("TIME_WAIT", 1.05, END)], None, fin("client"))
    assert sentences(history_of(half_observed, unobserved=unobserved))[1:] == [
        "up to 2 more sockets on server came and went between two samples"
    ]


def test_requests_by_client() -> None:
    error = {"name": "RemoteDisconnected", "text": "..."}
    history = history_of(requests=())
    assert sentences(replace(history, requests=(request(),))) == ["1 request by client: 1 answered 200"]
    assert sentences(replace(history, requests=(request(error=error),) * 3)) == [
        "3 requests by client: all failed with RemoteDisconnected"
    ]
    mixed = (request(), request(error=error), request(node="other", status=404))
    assert sentences(replace(history, requests=mixed)) == [
        "2 requests by client: 1 answered 200, 1 failed with RemoteDisconnected",
        "1 request by other: 1 answered 404",
    ]


def test_the_states_of_the_story_at_its_moments() -> None:
    history = idle_history()
    index = Index(history)
    assert count_states(index, "client", 8.4) == {TcpState.CLOSE_WAIT: Count(1, 1)}
    assert list(count_states(index, "server", 8.55)) == [TcpState.ESTABLISHED, TcpState.TIME_WAIT, TcpState.LISTEN]
    assert recv_q(index, "client", TcpState.CLOSE_WAIT, 8.4) == Count(1, 1)
    assert recv_q(index, "client", TcpState.CLOSE_WAIT, 0.4) is None
    assert moments_by_instant(history)[1] == (0.4, ["load.end", "idle.start"])


def test_between_two_samples_states_are_possible_only() -> None:
    index = Index(idle_history())
    assert count_states(index, "client", 5.42) == {
        TcpState.ESTABLISHED: Count(0, 1),
        TcpState.CLOSE_WAIT: Count(0, 1),
    }
    states = frozenset({TcpState.TIME_WAIT, TcpState.CLOSED})
    index = Index(idle_history(sockets=(), unobserved=(Unobserved("client", 1.0, 2.0, 3, 0, 3, states),)))
    assert count_states(index, "client", 1.5) == {TcpState.TIME_WAIT: Count(0, 3)}
    assert str(Count(0, 3)) == "0..3"
    assert count_states(index, "client", 2.0) == {}


_STATES = [state for state in TcpState if state is not TcpState.CLOSED]


@st.composite
def lives(draw: st.DrawFn) -> tuple[Socket, list[tuple[float, float, frozenset[TcpState]]]]:
    """A socket of made-up stays and gaps, and the same as a list of (start, end, possible states)."""
    times = sorted(draw(st.sets(st.integers(0, 30), min_size=2, max_size=8)))
    times = times[: len(times) // 2 * 2]
    intervals = [
        StateInterval(draw(st.sampled_from(_STATES)), float(first), float(last))
        for first, last in zip(times[::2], times[1::2], strict=True)
    ]
    gaps = [
        UnknownInterval(
            before.last, after.first, frozenset(draw(st.sets(st.sampled_from(_STATES), min_size=1, max_size=3)))
        )
        for before, after in pairwise(intervals)
    ]
    pieces = [(interval.first, interval.last, frozenset({interval.state})) for interval in intervals]
    made = Socket("client", "1", f"{CLIENT}:1", f"{SERVER}:2", tuple(intervals), tuple(gaps), ())
    return made, pieces + [(gap.after, gap.before, gap.states) for gap in gaps]


@settings(deadline=None)
@given(st.lists(lives(), max_size=5), st.integers(0, 60))
def test_counts_agree_with_counting_by_hand(
    drawn: list[tuple[Socket, list[tuple[float, float, frozenset[TcpState]]]]], half_seconds: int
) -> None:
    t = half_seconds / 2
    counts = count_states(Index(idle_history(sockets=tuple(made for made, _ in drawn))), "client", t)
    for state in _STATES:
        low = high = 0
        for made, pieces in drawn:
            intervals = [states for first, last, states in pieces[: len(made.intervals)] if first <= t <= last]
            gaps = [states for first, last, states in pieces[len(made.intervals) :] if first < t < last]
            low += any(state in states for states in intervals)
            high += any(state in states for states in intervals + gaps)
        assert counts.get(state, Count(0, 0)) == Count(low, high)
