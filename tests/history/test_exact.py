"""Sockets from hand-made kernel events: what ends a minisocket, who gave up, what was sent again."""

from __future__ import annotations

import pytest

from orchestrator.history.build import build_history
from orchestrator.history.model import History, MinisocketEnd, Socket
from orchestrator.recording.events import Event
from orchestrator.report.words.summaries import sentences
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import HOSTS, events, worded

CLIENT, SERVER = f"{HOSTS['client']}:41000", f"{HOSTS['server']}:8080"
ENDS = {"client": (CLIENT, SERVER), "server": (SERVER, CLIENT)}


def line(t: float, ev: str, node: str, a: int = 0, **more: object) -> Event:
    local, peer = ENDS[node]
    return {"t": t, "ev": ev, "node": node, "a": a, "local": local, "peer": peer} | more


def states(node: str, a: int, *path: tuple[float, S]) -> list[Event]:
    """The `state` events of one socket: time and the state that it enters."""
    old = S.CLOSED if path[0][1] is S.SYN_SENT else S.LISTEN
    found = []
    for t, new in path:
        found.append(line(t, "state", node, a, old=old, new=new))
        old = new
    return found


def connection(a: int, opened: float, closed: float) -> list[Event]:
    """Opened, and closed by the client, which goes to TIME_WAIT, within some milliseconds."""
    return [
        *states(
            "client", a, (opened, S.SYN_SENT), (opened + 0.001, S.ESTABLISHED), (closed, S.FIN_WAIT1),
            (closed + 0.002, S.FIN_WAIT2), (closed + 0.004, S.CLOSED),
        ),
        line(closed + 0.003, "minisocket", "client", a, what="born", old=S.FIN_WAIT2),
        *states(
            "server", a + 100, (opened + 0.001, S.SYN_RECV), (opened + 0.002, S.ESTABLISHED),
            (closed + 0.001, S.CLOSE_WAIT), (closed + 0.002, S.LAST_ACK), (closed + 0.003, S.CLOSED),
        ),
    ]  # fmt: skip


def told(table: str, *trace: Event) -> History:
    """The history of a table with a trace, which the counters of the table confirm."""
    history = build(table, *trace)
    assert history.exact, history.notes
    return history


def build(table: str, *trace: Event) -> History:
    lost = {"t": 0.0, "ev": "traced", "lost": 0, "counts": {}}
    return build_history(events(table, *sorted(trace, key=lambda event: float(event["t"])), lost))


def client_end(history: History) -> Socket:
    end = history.connections[0].client
    assert end is not None
    return end


SHORT = connection(1, 0.5, 0.6)
RST = line(2.5, "rst", "server", reason="NO_SOCKET")
COUNTED = "unseen server 0 1 0 0 0\ncount client TW 0 1 1 1 1\ncount server OutRsts 0 0 0 1 1"

BRIEF = "client:41000 > server:8080 | - T T\nunseen server 0 1 0\ncount client TW 0 1 1"


def test_a_call_that_found_no_free_address_is_no_connection() -> None:
    """connect() from a bound port whose pair is taken: EADDRNOTAVAIL. The trace reports it like any other."""
    in_vain = states("client", 9, (0.55, S.SYN_SENT), (0.550005, S.CLOSED))
    assert len(told(BRIEF, *SHORT, *in_vain).connections) == 1


def test_a_call_that_was_taken_back_at_once_is_one_when_the_kernel_counted_it() -> None:
    taken_back = states("client", 9, (0.55, S.SYN_SENT), (0.550005, S.CLOSED))
    assert len(told(BRIEF + "\ncount client ActiveOpens 0 2 2", *SHORT, *taken_back).connections) == 2


def test_a_request_that_waits_for_its_child_is_one_connection_with_it() -> None:
    """TCP_DEFER_ACCEPT: samples see SYN_RECV long before the child, which the trace sees, and no cookie joins them."""
    table = """
        client:41000 > server:8080 | - E  E  F2 F2
        server:8080 > client:41000 | - SR SR CW CW
        count client TW 0 0 0 1 1
    """
    trace = [
        *states(
            "client", 1, (0.5, S.SYN_SENT), (0.501, S.ESTABLISHED), (2.5, S.FIN_WAIT1), (2.503, S.FIN_WAIT2),
            (2.505, S.CLOSED),
        ),
        line(2.504, "minisocket", "client", 1, what="born", old=S.FIN_WAIT2),
        *states("server", 2, (2.501, S.SYN_RECV), (2.5011, S.ESTABLISHED), (2.502, S.CLOSE_WAIT)),
    ]  # fmt: skip
    history = told(table, *trace)
    assert len(history.connections) == 1
    server = history.connections[0].server
    assert server is not None
    assert [interval.state for interval in server.intervals] == [S.SYN_RECV, S.ESTABLISHED, S.CLOSE_WAIT]
    assert server.intervals[0].first == 1.0, "as the sample has it"


@pytest.mark.parametrize(("end", "exact"), [(2.0, True), (3.0, False)])
def test_a_counter_that_the_last_tick_did_not_read_does_not_speak_against_the_trace(end: float, exact: bool) -> None:
    """A tick that comes upon that of the last moment reads no TcpExt (the fuzzer's seed 60023)."""
    table = f"""
        ticks 0 1 2 3
        client:41000 > server:8080 | - E  E F2
        server:8080 > client:41000 | - E  E CW
        count client TW 0 0 0 0
        moment end {end}
    """
    trace = [
        *states(
            "client", 1, (0.5, S.SYN_SENT), (0.501, S.ESTABLISHED), (2.5, S.FIN_WAIT1), (2.503, S.FIN_WAIT2),
            (2.505, S.CLOSED),
        ),
        line(2.504, "minisocket", "client", 1, what="born", old=S.FIN_WAIT2),
        *states("server", 2, (0.5005, S.SYN_RECV), (0.5006, S.ESTABLISHED), (2.501, S.CLOSE_WAIT)),
    ]  # fmt: skip
    assert build(table, *trace).exact is exact


def test_what_was_born_while_the_last_tick_was_taken_is_after_the_recording() -> None:
    """The tick has it in its tables and in its counters all the same (the fuzzer's seed 80096)."""
    table = """
        ticks 0 1 2 3
        client:41000 > server:8080 | - - - E
        server:8080 > client:41000 | - - - E
        count client ActiveOpens 0 0 0 1
        count server PassiveOpens 0 0 0 1
    """
    trace = [
        *states("client", 1, (3.005, S.SYN_SENT), (3.006, S.ESTABLISHED)),
        *states("server", 2, (3.0055, S.SYN_RECV), (3.0056, S.ESTABLISHED)),
    ]
    lines = [
        one | {"took": 0.02} if one["ev"] == "tick" and one["t"] == 3 else one
        for one in events(table, *trace, {"t": 3.5, "ev": "traced", "lost": 0, "counts": {}})
    ]
    run = build_history(lines)
    assert run.exact, run.notes
    assert run.sockets == ()
    assert run.connections == ()


def test_a_request_that_only_samples_saw_is_one_connection_with_its_child() -> None:
    """The child is gone at the next sample."""
    table = """
        client:41000 > server:8080 | - E  T T T
        server:8080 > client:41000 | - SR - - -
        unseen server 0 0 1 0 0
        count client TW 0 0 1 1 1
    """
    history = told(table, *connection_late_child())
    assert len(history.connections) == 1
    assert [len(connection.ends) for connection in history.connections] == [2]


def connection_late_child() -> list[Event]:
    return [
        *states(
            "client", 1, (0.5, S.SYN_SENT), (0.501, S.ESTABLISHED), (1.5, S.FIN_WAIT1), (1.503, S.FIN_WAIT2),
            (1.505, S.CLOSED),
        ),
        line(1.504, "minisocket", "client", 1, what="born", old=S.FIN_WAIT2),
        *states(
            "server", 2, (1.5005, S.SYN_RECV), (1.5006, S.ESTABLISHED), (1.501, S.CLOSE_WAIT), (1.502, S.LAST_ACK),
            (1.5035, S.CLOSED),
        ),
    ]  # fmt: skip


def test_a_reset_kills_a_time_wait() -> None:
    history = told(f"client:41000 > server:8080 | - T T - -\n{COUNTED}", *SHORT, RST)
    end = client_end(history)
    assert end.ended_by is MinisocketEnd.RESET
    assert end.unknown[-1].before == 2.5
    assert sentences(history) == [
        "1 connection client -> server:8080: client closed first (FIN); TIME_WAIT on client, killed by a RST"
    ]


def test_a_reset_that_did_not_kill_it_is_told_by_a_later_sample() -> None:
    """With tcp_rfc1337 a TIME_WAIT survives a RST."""
    end = client_end(told(f"client:41000 > server:8080 | - T T T T\n{COUNTED}", *SHORT, RST))
    assert end.ended_by is None
    assert end.intervals[-1].last == 4.0


def test_a_reset_that_did_not_kill_it_is_told_by_its_timer() -> None:
    expired = line(3.5, "minisocket", "client", 1, what="expired")
    end = client_end(told(f"client:41000 > server:8080 | - T T T -\n{COUNTED}", *SHORT, RST, expired))
    assert end.ended_by is MinisocketEnd.EXPIRED
    assert end.unknown[-1].before == 3.5


def test_of_two_resets_the_first_one_killed_it() -> None:
    counted = COUNTED.replace("0 0 0 1 1", "0 0 0 2 2")
    end = client_end(told(f"client:41000 > server:8080 | - T T - -\n{counted}", *SHORT, RST, RST | {"t": 2.8}))
    assert end.unknown[-1].before == 2.5


def test_a_call_that_is_answered_has_taken_over_what_the_other_end_had_left() -> None:
    """Its child comes much later, when there is room in the backlog. The server was in TIME_WAIT until the call."""
    table = """
        client:41000 > server:8080 | - E - - -
        server:8080 > client:41000 | - E - - -
        client:41000 > server:8080 | - - E E E
        server:8080 > client:41000 | - - SR SR E
        count server TW 0 0 1 1 1
    """
    history = told(
        table,
        *states(
            "client",
            1,
            (0.5, S.SYN_SENT),
            (0.501, S.ESTABLISHED),
            (1.5002, S.CLOSE_WAIT),
            (1.5003, S.LAST_ACK),
            (1.5006, S.CLOSED),
        ),
        *states(
            "server",
            2,
            (0.5005, S.SYN_RECV),
            (0.502, S.ESTABLISHED),
            (1.5001, S.FIN_WAIT1),
            (1.5004, S.FIN_WAIT2),
            (1.50055, S.CLOSED),
        ),
        line(1.5005, "minisocket", "server", 2, what="born", old=S.FIN_WAIT2),
        *states("client", 3, (1.5010, S.SYN_SENT), (1.5012, S.ESTABLISHED)),
        *states("server", 4, (3.5, S.SYN_RECV), (3.5001, S.ESTABLISHED)),
    )
    first = history.connections[0].server
    assert first is not None
    assert (first.intervals[-1].state, first.ended_by) == (S.TIME_WAIT, MinisocketEnd.REUSED)
    assert first.unknown[-1].before == 1.5012


def test_a_reset_of_nobody_is_no_answer_of_a_minisocket_that_a_reset_had_killed() -> None:
    """It was in TIME_WAIT, and is still that although the same port is refused later on."""
    counted = COUNTED + "\n        count client OutRsts 0 0 0 1 1"
    refused = line(2.7, "rst", "client", reason="NO_SOCKET")
    end = client_end(told(f"client:41000 > server:8080 | - T T - -\n{counted}", *SHORT, RST, refused))
    assert [interval.state for interval in end.intervals][-1] is S.TIME_WAIT
    assert (end.ended_by, end.unknown[-1].before) == (MinisocketEnd.RESET, 2.5)


def test_a_call_that_meets_what_an_earlier_connection_left_is_not_its_other_end() -> None:
    """The first SYN was lost, so the server's end is nearer to the second call; but that came after it."""
    table = """
        client:41000 > server:8080 | - SS F2 - -
        server:8080 > client:41000 | - - CW - -
        client:41000 > server:8080 | - - - E E
        server:8080 > client:41000 | - - - E E
        count client RetransSegs 0 0 1 1 1
    """
    history = told(
        table,
        *states("client", 1, (0.9, S.SYN_SENT), (1.9, S.ESTABLISHED), (1.95, S.FIN_WAIT1), (1.952, S.FIN_WAIT2)),
        line(1.89, "retransmit", "client", 1, state=S.SYN_SENT),
        *states("server", 2, (1.901, S.SYN_RECV), (1.902, S.ESTABLISHED), (1.951, S.CLOSE_WAIT), (2.1001, S.CLOSED)),
        *states("client", 3, (2.1, S.SYN_SENT), (2.11, S.ESTABLISHED)),
        *states("server", 4, (2.101, S.SYN_RECV), (2.112, S.ESTABLISHED)),
    )
    pairs = [(one.client is not None, one.server is not None) for one in history.connections]
    assert pairs == [(True, True), (True, True)]


def test_a_sample_that_shows_a_request_is_dated_before_the_call_that_it_is_of() -> None:
    """A tick has the time at which it began; it may see what came about while it was taken."""
    table = """
        client:41000 > server:8080 | - -  E E
        server:8080 > client:41000 | - SR E E
    """
    history = told(
        table,
        *states("client", 1, (1.0003, S.SYN_SENT), (1.0004, S.ESTABLISHED)),
        *states("server", 2, (1.00045, S.SYN_RECV), (1.0005, S.ESTABLISHED)),
    )
    assert [len(connection.ends) for connection in history.connections] == [2]


def test_a_new_connection_takes_a_time_wait_over() -> None:
    table = """
        client:41000 > server:8080 | - T T - -
        client:41000 > server:8080 | - - - T T
        unseen server 0 1 0 1 0
        count client TW 0 1 1 2 2
    """
    history = told(table, *SHORT, *connection(2, 2.5, 2.6))
    first, second = (one.client for one in history.connections)
    assert first is not None
    assert second is not None
    assert first.ended_by is MinisocketEnd.REUSED
    assert first.unknown[-1].before == 2.5
    assert second.ended_by is None
    assert "TIME_WAIT on client, taken over by a new connection" in sentences(history)[0]


def test_a_listener_with_an_address_of_its_own_is_no_connection() -> None:
    listener = [line(t, "state", "server", 9, old=old, new=new) | {"peer": "0.0.0.0:0"} for t, old, new in (
        (0.1, S.CLOSED, S.LISTEN), (0.9, S.LISTEN, S.CLOSED))]  # fmt: skip
    history = told(f"server:8080 | - L -\n{BRIEF}", *SHORT, *listener)
    assert len(history.connections) == 1


def test_an_end_that_gave_up_is_told() -> None:
    trace = [
        *states("client", 1, (0.5, S.SYN_SENT), (0.501, S.ESTABLISHED), (2.5, S.CLOSED)),
        *states("server", 2, (0.501, S.SYN_RECV), (0.502, S.ESTABLISHED)),
        *(line(t, "retransmit", "client", 1, state=S.ESTABLISHED) for t in (0.9, 1.3)),
    ]
    table = """
        client:41000 > server:8080 | - E E - -
        server:8080 > client:41000 | - E E E E
        count client RetransSegs 0 1 2 2 2
    """
    history = told(table, *trace)
    (found,) = history.connections
    assert (found.closing.kind, found.closing.gave_up, found.closed) == ("timeout", "client", (2.5, 2.5))
    assert found.closing.first_closer is None
    assert sentences(history) == [
        "1 connection client -> server:8080: client gave up, after a timeout; at the end still ESTABLISHED on server"
    ]
    again = worded(history, "{over: start .. end, client: {retransmits: 2}}")
    assert again.outcome == "pass"
    assert "sent again in ESTABLISHED at 0.9s" in again.evidence[0]


def test_retransmissions_that_the_trace_does_not_account_for_are_counted_by_the_kernel() -> None:
    """One event may stand for several segments."""
    history = told(
        f"{BRIEF}\ncount client RetransSegs 0 3 3", *SHORT, line(0.55, "retransmit", "client", 1, state=S.ESTABLISHED)
    )
    assert [event["t"] for event in history.retransmits["client"]] == [0.55], "what the trace has is not hidden"
    assert history.retransmits_counted == {"client": 3}
    assert worded(history, "{over: start .. end, client: {retransmits: 3}}").outcome == "pass"


def test_resets_of_one_port() -> None:
    history = told(f"client:41000 > server:8080 | - T T - -\n{COUNTED}", *SHORT, RST)
    for port, count in ((41000, 1), (9, 0)):
        text = f"{{over: start .. end, where: {{port: {port}}}, server: {{resets: {count}}}}}"
        assert worded(history, text).outcome == "pass"


# -- owners ------------------------------------------------------------------------------------------------------------


def request(port: int) -> Event:
    return {"t": 2.0, "ev": "request", "node": "client", "local": f"{HOSTS['client']}:{port}", "peer": SERVER}


def test_a_program_that_was_seen_once_owns_all_that_it_told_of() -> None:
    table = """
        client:41000 > server:8080 {python3/7} | - E E
        client:41001 > server:8080             | - T T
        client:41002 > server:8080             | - T T
    """
    history = build_history(events(table, request(41000), request(41001)))
    owners = {socket.local.rpartition(":")[2]: socket.pid for socket in history.sockets}
    assert owners == {"41000": 7, "41001": 7, "41002": None}


def test_where_two_programs_spoke_nobody_guesses() -> None:
    table = """
        client:41000 > server:8080 {python3/7} | - E E
        client:41001 > server:8080 {python3/8} | - E E
        client:41002 > server:8080             | - T T
    """
    history = build_history(events(table, *map(request, (41000, 41001, 41002))))
    assert {socket.pid for socket in history.sockets} == {7, 8, None}
