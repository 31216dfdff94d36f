"""Both ends of each connection, and who closed first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.connections import join
from orchestrator.history.model import Connection, History, Socket, Witness
from orchestrator.history.unobservedends import unobserved_ends
from orchestrator.report.words.evidence import shown_by
from orchestrator.tcp.states import TcpState
from tests.support.builders import history, request


def only(text: str) -> Connection:
    (connection,) = history(text).connections
    return connection


def ends(run: History) -> list[tuple[str | None, str | None]]:
    return [(c.client.sk if c.client else None, c.server.sk if c.server else None) for c in run.connections]


PAIR = "client:41000 > server:8080 #c | {}\nserver:8080 > client:41000 #s | {}"


def pair(client: str, server: str) -> str:
    return PAIR.format(client, server)


# -- joining -----------------------------------------------------------------------------------------------------


def test_two_ends_are_one_connection() -> None:
    connection = only(pair("- E E -", "- E E E"))
    assert connection.client is not None
    assert connection.server is not None
    assert (connection.client_node, connection.server_node) == ("client", "server")
    assert connection.opened == (0, 1)


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ("- E E", "- - E"),  # nodes are sampled one after the other
        ("- ? E", "- E -"),  # the client was missed while the server's end was seen
        ("- SS SS T", "- - - T"),
        ("- SS -", "- - T"),
        ("- - T", "- E -"),  # a short connection that came while the tick was taken
    ],
)
def test_ends_that_show_at_different_ticks_are_one_connection(client: str, server: str) -> None:
    assert ends(history(pair(client, server))) == [("c", "s")]


def test_an_end_that_was_there_first_has_no_known_birth() -> None:
    assert only(pair("E E", "E E")).opened == (-math.inf, 0)


def test_an_end_without_the_other_still_names_the_other_node() -> None:
    connection = only("client:41000 > server:8080 | - E T")
    assert connection.server is None
    assert connection.server_node == "server"


def test_an_address_of_no_node_has_no_name() -> None:
    connection = only("client:41000 > 203.0.113.9:443 | - E E")
    assert (connection.client_node, connection.server_node) == ("client", None)


def test_a_connection_of_a_node_with_itself() -> None:
    connection = only(
        "server:41000 > server:8080 #c | - E E\nserver:8080 > server:41000 #s | - E E\nserver:8080 | L L L"
    )
    assert (connection.client_node, connection.server_node) == ("server", "server")
    assert connection.client is not None
    assert connection.client.sk == "c"


def test_loopback_pairs_of_two_nodes_are_two_connections() -> None:
    rows = [f"{node}:{a} > 127.0.0.1:{b} | - E E" for node in ("client", "server") for a, b in ((5, 80), (80, 5))]
    run = history("\n".join(rows))
    local = [
        Socket(s.node, s.sk, f"127.0.0.1:{s.local.split(':')[1]}", s.peer, s.intervals, s.unknown, s.queues)
        for s in run.sockets
    ]
    assert sorted((c.client_node, c.server_node) for c in join(local, run.addresses)) == [
        ("client", "client"), ("server", "server"),
    ]  # fmt: skip


def test_a_port_used_again_is_another_connection() -> None:
    run = history(
        "client:41000 > server:8080 #c1 | - E - - - - -\nserver:8080 > client:41000 #s1 | - E T T - - -\n"
        "client:41000 > server:8080 #c2 | - - - - E E -\nserver:8080 > client:41000 #s2 | - - - - E E T"
    )
    assert ends(run) == [("c1", "s1"), ("c2", "s2")]


def test_a_time_wait_left_behind_is_not_the_other_end_of_the_next_connection() -> None:
    """The first client end lived unseen; its TIME_WAIT on the server gave way to a new SYN in one tick."""
    run = history(
        "server:8080 > client:41000 #s1 | - T T - -\n"
        "client:41000 > server:8080 #c2 | - - - E E\nserver:8080 > client:41000 #s2 | - - - E E"
    )
    assert ends(run) == [(None, "s1"), ("c2", "s2")]


def test_a_syn_that_waits_belongs_to_the_end_that_answers_it() -> None:
    """The first SYN was lost, so the TIME_WAIT of the connection before lived on beside the new client end."""
    run = history(
        "server:8080 > client:41000 #s1 | - T T T - -\n"
        "client:41000 > server:8080 #c2 | - - - SS E E\nserver:8080 > client:41000 #s2 | - - - - E E"
    )
    assert ends(run) == [(None, "s1"), ("c2", "s2")]


@pytest.mark.parametrize(
    ("rows", "client"),
    [
        ("client:41000 > server:8080 | - SS E\nserver:8080 > client:41000 | - - E", "client"),
        ("client:8080 > server:41000 | - E E\nserver:41000 > client:8080 | - SR E", "client"),
        ("client:8080 > server:41000 | - E E\nserver:41000 | L L L", "client"),
        ("client:8080 > server:41000 | - E E\nclient:8080 | L L L", "server"),
        ("client:8080 > server:41000 | - E E", "server"),  # nothing tells: the lower port serves
    ],
)
def test_which_end_opened(rows: str, client: str) -> None:
    (connection,) = history(rows).connections
    assert connection.client_node == client


# -- who closed first --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "server", "closer", "how"),
    [
        ("- E CW CW", "- E F2 F2", "server", "CLOSE_WAIT seen on client"),
        ("- E E -", "- E E T", "server", "TIME_WAIT seen on server"),
        ("- E LA -", "- E - -", "server", "LAST_ACK seen on client"),
        ("- E F2 T", "- E - -", "client", "FIN_WAIT2 seen on client"),
        ("- E T T", "- E LA -", "client", "LAST_ACK seen on server"),
        ("- E F1 F1", "- E E E", "client", "FIN_WAIT1 seen on client"),
        ("- E CG T", "- E T T", None, "both closed at the same time: CLOSING seen on client"),
        ("- E F1 T", "- E F1 T", None, "both closed at the same time: FIN_WAIT1 seen on client and FIN_WAIT1 seen"),
        ("- E - -", "- E - -", None, "no tick saw it close"),
        ("- E F1 F1 F1", "- E E E F1", "client", "FIN_WAIT1 seen on client and FIN_WAIT1 seen on server, client first"),
        ("- E E E F1", "- E F1 F1 F1", "server", "FIN_WAIT1 seen on client and FIN_WAIT1 seen on server, server first"),
        ("- E E E", "- E E E", None, ""),
    ],
)
def test_the_first_closer(client: str, server: str, closer: str | None, how: str) -> None:
    connection = only(pair(client, server))
    assert connection.closing.first_closer == closer
    assert shown_by(connection.closing).startswith(how)


def test_an_end_of_no_node_may_be_the_first_closer() -> None:
    """It has no name, but the other end shows that it sent its FIN: so the node's own end was not the first."""
    closing = only("client:41000 > 203.0.113.9:443 | - E CW").closing
    assert (closing.kind, closing.side, closing.by) == ("fin", "server", None)
    assert closing.witnesses == (Witness("client", TcpState.CLOSE_WAIT),)


@pytest.mark.parametrize(
    ("error", "kind", "closer"),
    [
        ("RemoteDisconnected", "fin", "server"),
        ("ConnectionResetError", "rst", "server"),
        ("BrokenPipeError", "rst", "server"),
        ("ReadTimeout", "unknown", None),
    ],
)
def test_what_no_sample_shows_the_client_s_error_may(error: str, kind: str, closer: str | None) -> None:
    (connection,) = history(pair("- E - -", "- E - -"), request(1.5, error=error)).connections
    assert (connection.closing.kind, connection.closing.first_closer) == (kind, closer)
    assert connection.closed == (1, 2)
    assert [witness.error for witness in connection.closing.witnesses] == ([error] if closer else [])


def test_states_say_more_than_an_error() -> None:
    (connection,) = history(pair("- E F2 -", "- E CW -"), request(1.5, error="RemoteDisconnected")).connections
    assert connection.closing.first_closer == "client"


@pytest.mark.parametrize(
    ("client", "server", "closed"),
    [
        ("- E E E CW", "- E F1 F1 F2", (1, 2)),  # the sender's own socket tells, the receiver is late
        ("- E E CW CW", "- E E E F2", (3, 4)),  # sampled one after the other
        ("- E E E E", "- E E E E", None),
        ("- E E - -", "- E E E -", (2, 3)),
        ("T T T T T", "- - - - -", (-math.inf, 0)),
        ("- E CW CW CW", "- - - - -", (0, 2)),  # the sender was never seen: from the birth on
    ],
)
def test_when_it_closed(client: str, server: str, closed: tuple[float, float] | None) -> None:
    assert only(pair(client, server)).closed == closed


# -- ends that were counted but not seen -------------------------------------------------------------------------


def test_an_unseen_end_is_one_of_the_unseen_sockets() -> None:
    run = history("client:41000 > server:8080 | - - T T\nunseen server 0 0 1 0")
    matched, left = unobserved_ends(run.connections, run.unobserved)
    assert matched == {"server": list(run.connections)}
    assert left == []


@pytest.mark.parametrize(
    ("client", "counted", "matches"),
    [
        ("- - - T T", "0 0 0 1 0", True),
        ("- - - T T", "0 0 1 0 0", True),  # nodes are sampled one after the other
        ("- - - T T", "0 1 0 0 0", False),
        ("- - - E E", "0 0 0 0 1", True),  # the last ACK of the handshake was under way
        ("T T T T T", "0 1 0 0 0", False),  # it was there before anything was counted
        ("- - T - -", "0 0 0 0 1", False),
    ],
)
def test_an_end_is_counted_while_its_connection_comes_to_be(client: str, counted: str, matches: bool) -> None:
    run = history(f"client:41000 > server:8080 | {client}\nunseen server {counted}")
    matched, left = unobserved_ends(run.connections, run.unobserved)
    assert matched.get("server", []) == (list(run.connections) if matches else [])
    assert len(left) == (0 if matches else 1)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6))
def test_unseen_ends_are_matched_one_to_one(opened: Sequence[tuple[int, bool]]) -> None:
    rows = [
        f"client:{41000 + number} > server:8080 | " + " ".join("T" if t >= tick else "-" for t in range(6))
        for number, (tick, _) in enumerate(opened)
    ]
    counted = [sum(flag and tick == t for tick, flag in opened) for t in range(6)]
    run = history("\n".join([*rows, "server:8080 | L L L L L L", f"unseen server {' '.join(map(str, counted))}"]))
    matched, left = unobserved_ends(run.connections, run.unobserved)
    assert len(matched.get("server", [])) == sum(counted)
    assert left == []


# -- against a slow twin -----------------------------------------------------------------------------------------

LIVES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans(), st.booleans()), min_size=1, max_size=4)


@given(st.lists(LIVES, min_size=1, max_size=3))
def test_connections_that_follow_each_other_on_a_port_are_told_apart(
    ports: list[list[tuple[int, int, bool, bool]]],
) -> None:
    """Connections of one port, each starting when the one before it is over on both sides; any end may be unseen.

    With unseen ends one tick is left between two connections: else two half seen ones could be one.
    """
    width, rows, expected = 24, [], []
    for number, lives in enumerate(ports):
        at = 1
        for life, (pause, length, client_seen, server_seen) in enumerate(lives):
            at += pause if all(client and server for *_, client, server in lives) else max(1, pause)
            cells = " ".join("E" if at <= t < at + length else "-" for t in range(width))
            at += length
            names = (f"c{number}{life}" if client_seen else None, f"d{number}{life}" if server_seen else None)
            if client_seen:
                rows.append(f"client:{41000 + number} > server:8080 #{names[0]} | {cells}")
            if server_seen:
                rows.append(f"server:8080 > client:{41000 + number} #{names[1]} | {cells}")
            if client_seen or server_seen:
                expected.append(names)
    if rows:
        run = history("\n".join([*rows, "server:8080 #l | " + "L " * width]))
        assert sorted(ends(run), key=str) == sorted(expected, key=str)
