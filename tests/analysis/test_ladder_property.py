"""Whatever a history says, however it contradicts itself: rows in an order that can be true, lines that fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.analysis.exchanges import reports_of_each
from orchestrator.analysis.ladder.build import ladder
from orchestrator.analysis.ladder.list import entries, most_telling
from orchestrator.history.connections import join
from orchestrator.history.model import History, Socket, StateInterval, UnknownInterval
from orchestrator.history.readings import QueueReading
from orchestrator.recording.events import Event
from orchestrator.report.json.ladder import render
from orchestrator.report.text.ladder import draw
from orchestrator.tcp.lifecycle import ARCS
from orchestrator.tcp.states import TcpState as S

NODES = {"198.18.0.2": "client", "198.18.0.3": "server"}
CLIENT, SERVER, FOREIGN = "198.18.0.2:41000", "198.18.0.3:8080", "10.1.2.3:443"
PAIRS = ((CLIENT, SERVER), (SERVER, CLIENT), (CLIENT, FOREIGN), (SERVER, FOREIGN))

times = st.floats(0, 100, allow_nan=False)
texts = st.text(max_size=30)


@st.composite
def sockets(draw: st.DrawFn) -> Socket:
    """A life along the kernel's graph, sampled coarsely or traced exactly, seen from its birth or not."""
    local, peer = draw(st.sampled_from(PAIRS))
    states = [draw(st.sampled_from([S.SYN_SENT, S.SYN_RECV, S.ESTABLISHED, S.FIN_WAIT2, S.CLOSE_WAIT]))]
    while (ahead := sorted(ARCS[states[-1]])) != ["CLOSED"] and draw(st.booleans()):
        state = draw(st.sampled_from(ahead))
        if state is S.CLOSED:
            break
        states.append(state)
    exact = draw(st.booleans())
    points = sorted(draw(st.lists(times, min_size=2 * len(states), max_size=2 * len(states))))
    if exact:
        points = [points[0], *(t for two in points[1:-1:2] for t in (two, two)), points[-1]]
    intervals = tuple(StateInterval(state, points[2 * i], points[2 * i + 1]) for i, state in enumerate(states))
    gaps = [UnknownInterval(one.last, two.first, frozenset({one.state, two.state})) for one, two in pairwise(intervals)]
    width = 0.0 if exact else draw(st.floats(0, 2))
    if draw(st.booleans()):
        gaps.insert(0, UnknownInterval(intervals[0].first - width, intervals[0].first, frozenset({S.CLOSED})))
    if draw(st.booleans()):
        gaps.append(UnknownInterval(intervals[-1].last, intervals[-1].last + width, frozenset({S.CLOSED})))
    queues = tuple(
        QueueReading(t, draw(st.integers(0, 10**8)), draw(st.integers(0, 10**8)))
        for t in sorted(draw(st.lists(times, max_size=4)))
    )
    return Socket(NODES[local.split(":")[0]], draw(texts), local, peer, intervals, tuple(gaps), queues,
                  comm=draw(st.none() | texts), pid=1)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> Event:
    t = draw(times)
    event: Event = {"ev": "request", "node": "client", "t": t, "t0": t - draw(st.floats(0, 20)), "nth": draw(
        st.none() | st.integers(1, 4)), "method": draw(texts), "url": draw(texts), "local": CLIENT,
        "peer": draw(st.sampled_from([SERVER, FOREIGN]))}  # fmt: skip
    name = draw(st.sampled_from(["RemoteDisconnected", "ConnectionResetError", "ReadTimeout", ""]) | texts)
    if draw(st.booleans()):
        event["error"] = {"name": name, "text": draw(texts)}
    if draw(st.booleans()):
        event["status"] = draw(st.integers(100, 599))
    return event


@st.composite
def by_server(draw: st.DrawFn) -> Event:
    """An event `served`, `closed` or `rst`, or one of a node."""
    return {"t": draw(times), "node": "server", "local": SERVER, "peer": CLIENT, "nth": draw(st.integers(1, 4)),
            "method": "GET", "path": draw(texts), "status": 200,
            "reason": draw(st.sampled_from(["idle", "peer", "odd", "TCP_ABORT_ON_DATA", "NO_SOCKET"])),
            "what": draw(st.sampled_from(["killed", "paused", "started", "link down", "link up"]))}  # fmt: skip


@st.composite
def retransmits(draw: st.DrawFn) -> Event:
    local, peer = draw(st.sampled_from(PAIRS))
    state = draw(st.sampled_from(["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "CLOSING", "LAST_ACK"]))
    return {"t": draw(times), "local": local, "peer": peer, "state": state}


def in_time(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: float(event["t"])))


events = st.lists(by_server(), max_size=4).map(in_time)
again = st.lists(retransmits(), max_size=4).map(in_time)


@st.composite
def histories(draw: st.DrawFn) -> History:
    found = draw(st.lists(sockets(), min_size=1, max_size=3))
    resets = draw(events)
    counters = {node: {"OutRsts": ((0.0, 0), (draw(times), draw(st.integers(0, 1))))} for node in NODES.values()}
    end = draw(times)
    return History(
        nodes=("client", "server"), groups={}, addresses=NODES,
        moments={"start": 0.0, "load.start": draw(times), "wait.start": draw(times)} | (
            {"end": end} if draw(st.booleans()) else {}), texts_took={},
        ticks=tuple(sorted({0.0, 100.0, *draw(st.lists(times, max_size=5))})), missed={},
        sockets=tuple(found), unobserved=(), connections=join(found, NODES, resets),
        requests=in_time(draw(st.lists(requests(), max_size=8))), served=draw(events), closed=draw(events),
        counters=counters, speaking=frozenset({"server"}), resets=resets, exact=draw(st.booleans()),
        happened=draw(events), retransmits={node: draw(again) for node in NODES.values()},
        end={"outcome": draw(st.sampled_from(["done", "interrupted", "odd"]))},
    )  # fmt: skip


@settings(max_examples=120)
@given(histories(), st.integers(64, 130), st.booleans())
def test_any_history_makes_a_ladder_that_can_be_true_and_fits(run: History, width: int, ascii_only: bool) -> None:
    known = entries(run, reports_of_each(run))
    assert len(known) == len(run.connections)
    for entry in known:
        found = ladder(entry.name, entry.connection, run, entry.reports)
        latest_beginning = -math.inf
        for row in found.rows:
            assert row.after <= row.before
            latest_beginning = max(latest_beginning, row.after)
            assert latest_beginning <= row.before, "no row can have been over before an earlier one began"
        for line in draw(found, width, ascii_only=ascii_only):
            assert cell_len(line.plain) <= width
            assert line.plain.isprintable()
            assert line.plain.isascii() or not ascii_only
        assert render(known, found).isascii()
    if known:
        assert most_telling(known, [])[0] in known


@settings(max_examples=60)
@given(histories())
def test_every_state_is_shown(run: History) -> None:
    """Nothing that the samples or the trace saw of an end is lost, but for a FIN_WAIT2 that one segment begins and
    ends."""
    for entry in entries(run, reports_of_each(run)):
        found = ladder(entry.name, entry.connection, run, entry.reports)
        for socket, ends in (
            (entry.connection.client, [row.client for row in found.rows if row.kind != "end"]),
            (entry.connection.server, [row.server for row in found.rows if row.kind != "end"]),
        ):
            if socket is not None:
                seen = {interval.state for interval in socket.intervals if interval.first <= entry.until}
                assert {end.state for end in ends if end.changed} >= seen - {S.FIN_WAIT2}
