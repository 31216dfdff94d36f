"""Connections through NATs: their ends have other addresses, and belong together all the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.exchanges import reports_of_each
from orchestrator.errors import InputError
from orchestrator.history.model import Connection
from orchestrator.history.nat import flows_of
from orchestrator.recording.checker import LineChecker
from orchestrator.recording.events import Event
from tests.support.builders import HOSTS, begin, history
from tests.support.nats import CLIENT, NAT, OPEN, SERVER, flow, served, through_nat


def only(text: str, *more: Event) -> Connection:
    (connection,) = history(text, *more).connections
    return connection


# -- joining -----------------------------------------------------------------------------------------------------


def test_two_ends_with_other_addresses_are_one_connection() -> None:
    connection = only(OPEN, flow(1))
    assert [end.sk for end in connection.ends] == ["c", "s"]
    assert (connection.client_node, connection.server_node) == ("client", "server")
    assert [each.node for each in connection.via] == ["proxy"]
    assert connection.client_pair == (f"{CLIENT}:41000", f"{NAT}:8080")
    assert connection.server_pair == (f"{SERVER}:8080", f"{NAT}:41000")


def test_without_the_flow_they_are_two() -> None:
    assert len(history(OPEN).connections) == 2


@pytest.mark.parametrize(
    ("row", "missing"),
    [("client:41000 > proxy:8080 | - E T", "server"), ("server:8080 > proxy:41000 | - E T", "client")],
)
def test_an_end_that_was_not_seen_is_known_by_the_flow(row: str, missing: str) -> None:
    connection = only(row, flow(1))
    assert len(connection.ends) == 1
    assert (connection.client_node, connection.server_node) == ("client", "server")
    pair = connection.server_pair if missing == "server" else connection.client_pair
    assert pair[0].startswith(HOSTS[missing])


def test_what_the_server_says_belongs_to_the_connection_of_the_client() -> None:
    run = history(OPEN, flow(1), through_nat(1.5), served(1.4, f"{NAT}:41000"))
    (said,) = reports_of_each(run)
    (exchange,) = said.exchanges
    assert (exchange.reported, exchange.served) == (True, 1.4)


def test_two_nats_are_a_chain() -> None:
    """client -> proxy -> app-1 -> server."""
    second = HOSTS["app-1"]
    connection = only(
        "client:41000 > proxy:8080 #c | - E E\nserver:8080 > app-1:50000 #s | - E E",
        flow(1, new_destination=f"{second}:8080"),
        flow(1, source=f"{NAT}:41000", destination=f"{second}:8080", new_source=f"{second}:50000") | {"node": "app-1"},
    )
    assert [end.sk for end in connection.ends] == ["c", "s"]
    assert [each.node for each in connection.via] == ["proxy", "app-1"]


def test_a_port_that_is_used_again_is_another_flow() -> None:
    """Two clients had the same port, one after the other; the NAT kept it for whom it could."""
    run = history(
        "client:41000 > proxy:8080 #c1 | - E - - - - -\nserver:8080 > proxy:41000 #s1 | - E T T - - -\n"
        "client:41000 > proxy:8080 #c2 | - - - - E E -\nserver:8080 > proxy:50000 #s2 | - - - - E E T",
        flow(1),
        flow(4, onward=50000),
    )
    assert [[end.sk for end in connection.ends] for connection in run.connections] == [["c1", "s1"], ["c2", "s2"]]


@st.composite
def crossings(draw: st.DrawFn) -> tuple[str, list[Event], list[tuple[str, str]]]:
    """Connections of one client through the NAT, ports chosen from few, none used twice at a time; their true pairs."""
    rows, flows, true = [], [], []
    busy: dict[int, int] = {}
    onward_busy: dict[int, int] = {}
    begun = 0
    for number in range(draw(st.integers(1, 8))):
        begun += draw(st.integers(0, 2))
        ports = [port for port in range(41000, 41008) if busy.get(port, -1) < begun]
        onwards = [port for port in range(41000, 41008) if onward_busy.get(port, -1) < begun]
        if not ports or not onwards:
            continue
        port, onward = draw(st.sampled_from(ports)), draw(st.sampled_from(onwards))
        lives = draw(st.integers(1, 3))
        busy[port] = onward_busy[onward] = begun + lives
        cells = ["E" if 1 + begun <= column < 1 + begun + lives else "-" for column in range(32)]
        rows.append(f"client:{port} > proxy:8080 #c{number} | {' '.join(cells)}")
        rows.append(f"server:8080 > proxy:{onward} #s{number} | {' '.join(cells)}")
        flows.append(flow(1.0 + begun, port, onward, after=float(begun)))
        true.append((f"c{number}", f"s{number}"))
    return "\n".join(rows), flows, true


@given(crossings())
def test_every_connection_finds_its_other_end(drawn: tuple[str, list[Event], list[tuple[str, str]]]) -> None:
    rows, flows, true = drawn
    run = history(rows, *flows)
    found = [tuple(end.sk for end in connection.ends) for connection in run.connections]
    assert sorted(found) == sorted(true)


# -- the lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"what": "old"}, "`what` must be one of new, gone"),
        ({"source": "198.18.0.2"}, "must be an address with a port"),
        ({"after": None}, "`after` must be a number"),
        ({"node": "nat"}, "declares no node nat"),
    ],
)
def test_a_line_that_is_wrong_is_refused(change: dict[str, object], message: str) -> None:
    checker = LineChecker(Path("events.jsonl"))
    checker.check(begin(), 1)
    checker.check(flow(1), 2)
    with pytest.raises(InputError, match=message):
        checker.check(flow(1) | change, 3)


def test_what_is_gone_and_was_never_new_is_passed_over() -> None:
    """The probe listens from before the nodes start, so this is what an edited file may say."""
    assert flows_of([flow(1, what="gone")]) == []


def test_a_flow_is_gone_once() -> None:
    (first, second) = flows_of([flow(1), flow(2, what="gone"), flow(3), flow(4, what="gone"), flow(5, what="gone")])
    assert (first.ended, second.ended) == ((1.5, 2.0), (3.5, 4.0))
    assert dataclasses.replace(first, began=second.began, ended=second.ended) == second
