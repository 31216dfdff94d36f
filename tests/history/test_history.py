"""From event lines to the history: stays, gaps, unseen sockets, and every way in which a file can be wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.build import build_history
from orchestrator.history.model import History, Socket, StateInterval, UnknownInterval
from orchestrator.tcp.lifecycle import ARCS, between, later
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import CODES, HOSTS, events, history


def only(run: History, node: str) -> Socket:
    (socket,) = [socket for socket in run.sockets if socket.node == node]
    return socket


def states(gap: UnknownInterval) -> set[S]:
    return set(gap.states)


# -- the life of a socket ----------------------------------------------------------------------------------------


def test_no_state_comes_back() -> None:
    for state in S:
        if state is not S.CLOSED:
            assert state not in later(state)
            assert S.CLOSED in later(state)


def test_between_is_every_state_on_a_path() -> None:
    """Against a walk along all arcs, one at a time."""

    def walks(start: S, end: S, so_far: tuple[S, ...]) -> set[S]:
        found: set[S] = set()
        for following in ARCS[start]:
            if following is end:
                found |= {*so_far, end}
            elif following is not S.CLOSED:
                found |= walks(following, end, (*so_far, following))
        return found

    for start in S:
        for end in S:
            expected = walks(start, end, (start,))
            if not expected:
                with pytest.raises(ValueError, match="no socket goes"):
                    between(start, end)
            else:
                assert between(start, end) == expected - ({S.LISTEN} if start is end else set())


def test_a_gap_has_the_states_that_the_rfc_allows_between_its_ends() -> None:
    assert between(S.ESTABLISHED, S.TIME_WAIT) == {S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.CLOSING, S.TIME_WAIT}
    assert between(S.ESTABLISHED, S.LAST_ACK) == {S.ESTABLISHED, S.CLOSE_WAIT, S.LAST_ACK}
    assert between(S.CLOSED, S.ESTABLISHED) == {S.CLOSED, S.SYN_SENT, S.SYN_RECV, S.ESTABLISHED}
    assert between(S.CLOSED, S.LISTEN) == {S.CLOSED, S.LISTEN}


# -- stays and gaps ----------------------------------------------------------------------------------------------


def test_stays_and_gaps_alternate() -> None:
    socket = only(history("client:41000 > server:8080 | - E E CW CW -"), "client")
    assert socket.intervals == (StateInterval(S.ESTABLISHED, 1, 2), StateInterval(S.CLOSE_WAIT, 3, 4))
    assert [(gap.after, gap.before) for gap in socket.unknown] == [(0, 1), (2, 3), (4, 5)]
    assert states(socket.unknown[1]) == {S.ESTABLISHED, S.CLOSE_WAIT}
    assert states(socket.unknown[2]) == {S.CLOSE_WAIT, S.LAST_ACK, S.CLOSED}


def test_what_was_there_first_has_no_gap_before_and_what_stays_none_after() -> None:
    socket = only(history("client:41000 > server:8080 | E E E"), "client")
    assert socket.intervals == (StateInterval(S.ESTABLISHED, 0, 2),)
    assert socket.unknown == ()


def test_gaps_extend_over_a_missed_tick_and_stays_bridge_it() -> None:
    run = history("client:41000 > server:8080 | E ? E ? CW\nserver:8080 | L L L L L")
    socket = only(run, "client")
    assert socket.intervals == (StateInterval(S.ESTABLISHED, 0, 2), StateInterval(S.CLOSE_WAIT, 4, 4))
    assert [(gap.after, gap.before) for gap in socket.unknown] == [(2, 4)]
    assert run.missed == {"client": (1, 3)}


def test_a_node_missed_at_the_end_is_known_until_its_last_tick() -> None:
    assert only(history("client:41000 > server:8080 | E E ? ?"), "client").intervals == (
        StateInterval(S.ESTABLISHED, 0, 1),
    )


def test_queues_are_read_where_they_change() -> None:
    socket = only(history("client:41000 > server:8080 | E E/5 E/5 E/5/7 CW/1"), "client")
    assert [(reading.t, reading.recv_q, reading.send_q) for reading in socket.queues] == [
        (0, 0, 0), (1, 5, 0), (3, 5, 7), (4, 1, 0),
    ]  # fmt: skip


def test_the_owner_outlives_the_descriptor() -> None:
    socket = only(history("client:41000 > server:8080 {python3/12} | E F2 T"), "client")
    assert (socket.comm, socket.pid) == ("python3", 12)


@pytest.mark.parametrize(
    "rows",
    [
        "client:41000 > server:8080 #a | E E - SS E",
        "client:41000 > server:8080 #a | - F2 SS E E",
    ],
)
def test_a_descriptor_that_connects_again_is_another_socket(rows: str) -> None:
    first, second = history(rows).sockets
    assert first.sk == second.sk
    assert first.unknown[-1].before <= second.intervals[0].first
    assert S.CLOSED in first.unknown[-1].states
    assert S.CLOSED in second.unknown[0].states


@given(st.lists(st.sampled_from(["-", *CODES]), min_size=2, max_size=8))
def test_any_sequence_of_states_gives_lives_that_alternate(cells: list[str]) -> None:
    """Also sequences that no kernel shows: nothing is lost, and no life goes back in its states."""
    run = history(f"client:41000 > server:8080 | {' '.join(cells)}")
    shown = {float(t): CODES[cell] for t, cell in enumerate(cells) if cell != "-"}
    told: dict[float, S] = {}
    for socket in run.sockets:
        for before, after in pairwise(socket.intervals):
            assert after.state in later(before.state)
            assert any((gap.after, gap.before) == (before.last, after.first) for gap in socket.unknown)
        told |= {
            t: interval.state for interval in socket.intervals for t in shown if interval.first <= t <= interval.last
        }
    assert told == shown


# -- TIME_WAIT inside a gap --------------------------------------------------------------------------------------

CLOSES = "client:41000 > server:8080 | E E - -"


def inside(run: History) -> set[S]:
    return states(only(run, "client").unknown[0])


def test_time_wait_does_not_fit_into_a_short_gap() -> None:
    assert inside(history(CLOSES)) == set(between(S.ESTABLISHED, S.CLOSED)) - {S.TIME_WAIT}


def test_time_wait_fits_when_it_was_armed_and_a_reset_may_have_killed_it() -> None:
    armed = "\ncount client TW 0 0 1 1"
    assert S.TIME_WAIT not in inside(history(CLOSES + armed))
    assert S.TIME_WAIT not in inside(history(CLOSES + "\ncount server OutRsts 0 0 1 1"))
    assert S.TIME_WAIT in inside(history(CLOSES + armed + "\ncount server OutRsts 0 0 1 1"))


def test_time_wait_fits_when_it_was_armed_and_a_new_connection_may_have_taken_its_place() -> None:
    assert S.TIME_WAIT in inside(history(CLOSES + "\ncount client TW 0 0 1 1\nunseen client 0 0 1 0"))


def test_the_slow_counter_group_may_show_a_minisocket_a_second_later() -> None:
    """TcpExt is read once a second: a rise that shows later may have happened in the gap."""
    late = "ticks 0 0.1 0.2 0.3 1.25\nclient:41000 > server:8080 | E E - - -\ncount server OutRsts 0 0 1 1 1\n"
    assert S.TIME_WAIT in inside(history(late + "count client TW 0 0 0 0 1"))
    assert S.TIME_WAIT not in inside(history(late + "count client TW 0 0 0 0 0"))


def test_what_the_last_tick_did_not_read_may_have_happened() -> None:
    """A moment's tick reads all; one that comes upon it, as the run ends, does not read TcpExt."""
    ends = "ticks 0 0.1 0.2 0.3\nclient:41000 > server:8080 | E E E -\ncount server OutRsts 0 0 0 1\n"
    ends += "count client TW 0 0 0 0\n"
    assert S.TIME_WAIT not in inside(history(ends + "moment end 0.3"))
    assert S.TIME_WAIT in inside(history(ends + "moment end 0.2"))


def test_time_wait_fits_into_a_long_gap() -> None:
    assert S.TIME_WAIT in inside(history("ticks 0 1 61 62\n" + CLOSES))


def test_time_wait_at_an_end_of_a_gap_stays() -> None:
    run = history("client:41000 > server:8080 | E T -")
    before, after = only(run, "client").unknown
    assert S.TIME_WAIT in before.states
    assert states(after) == {S.TIME_WAIT, S.CLOSED}


def test_a_socket_is_born_through_syn_sent_only_where_a_syn_was_sent() -> None:
    run = history("client:41000 > server:8080 | - E\nserver:8080 > client:41000 | - E\nproxy:5 > server:8080 | - SS")
    client, server, proxy = run.sockets
    assert states(client.unknown[0]) == {S.CLOSED, S.SYN_SENT, S.SYN_RECV, S.ESTABLISHED}
    assert states(server.unknown[0]) == {S.CLOSED, S.SYN_RECV, S.ESTABLISHED}
    assert states(proxy.unknown[0]) == {S.CLOSED, S.SYN_SENT}


def test_a_counter_that_rose_between_table_and_counters_of_one_tick_is_heeded() -> None:
    """The SYN was counted with the tick before the one that shows the socket."""
    run = history("server:41000 > client:80 | - - E\ncount server ActiveOpens 0 1 1\ncount server PassiveOpens 0 0 0")
    assert S.SYN_SENT in run.sockets[0].unknown[0].states


# -- minisockets -------------------------------------------------------------------------------------------------


def test_a_minisocket_under_a_new_name_is_the_same_socket() -> None:
    rows = "client:41000 > server:8080 #a | E F1 - -\nclient:41000 > server:8080 #b | - - F2 T\nunseen client 0 0 -1 0"
    socket = only(history(rows), "client")
    assert [interval.state for interval in socket.intervals] == [S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.TIME_WAIT]
    assert socket.sk == "a"


@pytest.mark.parametrize(
    "rows",
    [
        "client:41000 > server:8080 #a | E CW - -\nclient:41000 > server:8080 #b | - - T T",  # cannot follow
        "client:41000 > server:8080 #a | E F2 - -\nclient:41000 > server:8080 #b | - - - T",  # another tick
        "client:41000 > server:8080 #a | E F2 - -\nclient:41001 > server:8080 #b | - - T T",  # another pair
        "client:41000 > server:8080 #a | E E - -\nclient:41000 > server:8080 #b | - - E E",  # no minisocket
    ],
)
def test_what_cannot_be_the_same_socket_is_not_joined(rows: str) -> None:
    assert len(history(rows).sockets) == 2


# -- the rest of the history -------------------------------------------------------------------------------------


def test_groups_addresses_and_who_speaks() -> None:
    run = history("client:41000 > server:8080 | E")
    assert run.groups == {"app": ("app-1", "app-2")}
    assert run.addresses[HOSTS["server"]] == "server"
    assert run.speaking == {"server", "app-1"}
    assert run.asking == {"client"}


def test_unknown_lines_are_passed_over_and_named() -> None:
    lines = [*events("client:41000 > server:8080 | E"), {"t": 1, "ev": "gossip"}, {"t": 1, "ev": "gossip"}]
    assert build_history(lines).notes == ("2 lines of the unknown kind `gossip` passed over",)


def test_socket_lines_after_the_last_tick_say_nothing() -> None:
    lines = events("client:41000 > server:8080 | E E")
    late = {**next(line for line in lines if line["ev"] == "socket"), "t": 1.5, "state": "CLOSE_WAIT"}
    assert build_history([*lines, late]).sockets == build_history(lines).sockets
