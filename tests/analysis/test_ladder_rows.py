"""The rows of a ladder, from hand-made histories: what went over the wire, and no more than the recording proves."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import OwnAccount
from orchestrator.history.model import Side
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, owner, said, sentence
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import history, request
from tests.support.ladders import (
    CLIENT,
    LISTENS,
    SERVER,
    by_server,
    ladder_of,
    rows_of,
    segments,
    served,
    told,
    with_resets,
)

IDLE_CLOSE = f"""
    {LISTENS}
    client:41000 > server:8080 | - E E CW/1 LA -
    server:8080 > client:41000 | - E E F2   T  T
"""


def test_idle_close_is_told_segment_by_segment() -> None:
    found = ladder_of(history(IDLE_CLOSE, request(1.5), served(1.495), by_server("closed", 2.5, reason="idle")))
    assert segments(found) == [
        "client > SYN | . .",
        "server > SYN+ACK | ESTABLISHED .",
        "client > ACK | . ESTABLISHED",
        "server > FIN | CLOSE_WAIT/1 .",
        "client > ACK | . FIN_WAIT2",
        "client > FIN | LAST_ACK TIME_WAIT",
        "server > ACK | CLOSED .",
    ]
    assert told(found, RowKind.REQUEST, RowKind.RESPONSE) == ["client > GET / | . .", "server > 200 after 10 ms | . ."]
    assert headline(found.headline) == (
        "server closed first, with a FIN after ~1.2 s idle (closed by server: idle); TIME_WAIT landed on server"
    )
    (fin, _) = [row for row in found.rows if said(row) == "FIN"]
    assert (fin.after, fin.before) == (2.5, 3.0), "not before the server said that it closes, seen by the next sample"
    assert tuple(beneath(fin.notes)) == ("closed by server: idle",)
    assert found.rows[-1].kind is RowKind.END
    assert tuple(beneath(found.rows[-1].notes)) == ("TIME_WAIT on server has 59 s to go",)


def test_client_closes_first() -> None:
    found = ladder_of(
        history(
            f"""
            {LISTENS}
            client:41000 > server:8080 | - E E F1 T  T
            server:8080 > client:41000 | - E E CW LA -
            """,
            request(1.5),
            by_server("closed", 3.5, reason="peer"),
        )
    )
    assert segments(found)[3:] == [
        "client > FIN | FIN_WAIT1 CLOSE_WAIT/0",
        "server > FIN | TIME_WAIT LAST_ACK",
        "client > ACK | . CLOSED",
    ]
    assert headline(found.headline).startswith("client closed first, with a FIN")
    assert headline(found.headline).endswith("TIME_WAIT landed on client")


def test_one_segment_when_the_ack_did_not_come_before_the_second_fin() -> None:
    """As a trace shows it: FIN_WAIT2 comes with the segment that brings TIME_WAIT."""
    found = ladder_of(
        history(
            """
            ticks 0 1 2 2.0001 2.0002 2.0003 2.0004
            server:8080                | L L L  L  L  L  L
            client:41000 > server:8080 | - E F1 F1 F1 F2 T
            server:8080 > client:41000 | - E E  CW LA LA -
            """
        )
    )
    assert segments(found)[3:] == [
        "client > FIN | FIN_WAIT1 CLOSE_WAIT/0",
        "server > FIN+ACK | TIME_WAIT LAST_ACK",
        "client > ACK | . CLOSED",
    ]


def test_crossing_fins_share_a_row() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E F1 CG T T
        server:8080 > client:41000 | - E F1 CG T T
    """
    found = ladder_of(history(table))
    assert told(found)[3:8] == [
        "FIN | FIN_WAIT1 FIN_WAIT1",
        "each FIN arrives | CLOSING CLOSING",
        "server > ACK | TIME_WAIT .",
        "client > ACK | . TIME_WAIT",
        "1.0-2.0 s | . .",
    ]
    assert headline(found.headline) == (
        "both ends closed at the same time: their FINs crossed; TIME_WAIT landed on client and server"
    )


def test_nothing_is_drawn_that_nothing_proves() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E - - -
        server:8080 > client:41000 | - E E - - -
    """
    found = ladder_of(history(table))
    assert told(found)[3:] == [
        "1.0-3.0 s, whether idle is not known | . .",
        "gone, the recording does not show how | CLOSED CLOSED",
    ]
    assert headline(found.headline).startswith("the recording does not show who closed first")


def test_a_counter_names_the_sender_of_a_reset() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E - - -
        server:8080 > client:41000 | - E E - - -
        count client OutRsts 0 0 0 1 1 1
    """
    found = ladder_of(history(table))
    assert segments(found)[-1] == "client > RST | CLOSED CLOSED"
    last = rows_of(list(found.rows), RowKind.SEGMENT)[-1]
    assert beneath(last.notes) == ["the counter OutRsts of client rose"]
    both = ladder_of(history(table.replace("count client", "count server OutRsts 0 0 0 1 1 1\ncount client")))
    assert len(segments(both)) == 3, "when both rose nobody is accused"


def test_a_fin_that_meets_nobody() -> None:
    """The server's kernel has forgotten its half: the client's FIN is answered by a RST."""
    table = """
        ticks 0 1 2 3 63 64 65
        server:8080                | L L L    L  L  L L
        client:41000 > server:8080 | - E CW/1 CW CW - -
        server:8080 > client:41000 | - E F2   F2 -  - -
        count server OutRsts 0 0 0 0 0 1 1
    """
    found = ladder_of(history(table))
    assert told(found)[-1] == "server > RST | CLOSED ."
    assert "client > FIN | . ." not in told(found), "it may have sent data, and not closed"
    assert "no TIME_WAIT was seen" in headline(found.headline)


def test_a_traced_reset_has_its_time_and_the_kernels_reason() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E - - -
        server:8080 > client:41000 | - E E - - -
    """
    rst = {"ev": "rst", "t": 2.25, "node": "server", "local": SERVER, "peer": CLIENT, "reason": "TCP_ABORT_ON_DATA"}
    found = ladder_of(with_resets(replace(history(table), exact=True), rst))
    last = found.rows[-1]
    assert (said(last), last.sender, last.after, last.before) == ("RST", Side.SERVER, 2.25, 2.25)
    assert tuple(beneath(last.notes)) == ("data came after it had closed",)
    assert (last.client.state, last.server.state) == (S.CLOSED, S.CLOSED)
    assert headline(found.headline).startswith("server reset the connection with a RST")


# -- ends that are missing, and runs that are cut ------------------------------------------------------------------


def test_the_server_is_no_node() -> None:
    found = ladder_of(history("client:41000 > 10.9.8.7:443 | - SS E CW/1 CW/0 -"))
    assert (found.server.address, owner(found.server), found.server.seen) == (
        "10.9.8.7:443",
        "no node of the run",
        False,
    )
    assert segments(found) == [
        "client > SYN | SYN_SENT .",
        "server > SYN+ACK | ESTABLISHED .",
        "client > ACK | . .",
        "server > FIN | CLOSE_WAIT/1 .",
    ]
    assert "client reads the end | . ." in told(found)
    assert headline(found.headline).startswith("the server closed first")


def test_the_client_is_no_node() -> None:
    found = ladder_of(history("server:8080 | L L L L L L\nserver:8080 > 10.1.2.3:5555 | - SR E CW/0 LA -"))
    assert (found.client.address, found.client.seen) == ("10.1.2.3:5555", False)
    assert segments(found)[3:] == ["client > FIN | . CLOSE_WAIT/0", "server > FIN | . LAST_ACK"]


def test_what_was_there_before_the_recording() -> None:
    found = ladder_of(
        history(
            f"""
            {LISTENS}
            client:41000 > server:8080 | E E E E E E
            server:8080 > client:41000 | E E E E E E
            """
        )
    )
    assert told(found) == [
        "already there when the recording begins | ESTABLISHED ESTABLISHED",
        "5.0 s, whether idle is not known | . .",
        "the run ends | ESTABLISHED ESTABLISHED",
    ]
    assert headline(found.headline) == "open at the end of the recording: nobody closed"


def test_a_connection_that_was_never_answered() -> None:
    found = ladder_of(history("client:41000 > server:8080 | - SS SS SS -"))
    assert told(found) == [
        "client > SYN | SYN_SENT .",
        "2.0-4.0 s, no answer | . .",
        "gone, the recording does not show how | CLOSED .",
    ]
    assert headline(found.headline) == "never established: no answer was seen"


def test_runs_that_did_not_get_to_their_end() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E E E E
        server:8080 > client:41000 | - E E E E E
        without end
    """
    for end, text in (
        ({"outcome": "interrupted"}, "the run is interrupted"),
        ({"outcome": "failed"}, "the run fails"),
        ({}, "the run is broken off"),
    ):
        assert said(ladder_of(replace(history(table), end=end)).rows[-1]) == text


def test_what_the_taking_down_did_is_left_out() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E E F2 F2
        server:8080 > client:41000 | - E E E -  -
    """
    run = history(table)
    run = replace(run, moments={**run.moments, "end": 3.0})
    assert told(ladder_of(run))[-1] == "the run ends | ESTABLISHED ESTABLISHED"
    assert headline(ladder_of(run).headline) == "open at the end of the recording: nobody closed"


def test_nodes_and_steps_have_rows() -> None:
    table = f"""
        moment load.start 0.5
        moment rest.start 2
        {LISTENS}
        client:41000 > server:8080 | - E E CW CW CW
        server:8080 > client:41000 | - E E F2 F2 F2
    """
    killed = {"ev": "node", "t": 2.9, "node": "server", "what": "killed"}
    other = {"ev": "node", "t": 2.9, "node": "proxy", "what": "killed"}
    found = ladder_of(history(table, killed, other))
    assert told(found, RowKind.STEP, RowKind.NODE) == ["load | . .", "rest | . .", "server is killed | . ."]
    assert headline(found.headline).startswith("server closed first, with a FIN (server is killed)")


BESIDE = """
    moment load.start 0.5
    moment idle.start 0.5
    moment quick.start 2
    moment idle.end 2
    moment quick.end 3
    moment last.start 3
    moment load.end 4.5
    moment last.end 5
"""


def test_steps_in_the_background_have_an_end_of_their_own() -> None:
    """The end of one in the foreground is the start of the next."""
    table = f"""
        {BESIDE}
        {LISTENS}
        client:41000 > server:8080 | - E E E E E
        server:8080 > client:41000 | - E E E E E
    """
    assert told(ladder_of(history(table)), RowKind.STEP) == [
        "load, idle | . .",
        "quick | . .",
        "last | . .",
        "load ends | . .",
    ]


def test_a_story_begins_in_all_the_steps_that_are_going_on() -> None:
    table = f"""
        {BESIDE}
        {LISTENS}
        client:41000 > server:8080 | - - - E E E
        server:8080 > client:41000 | - - - E E E
    """
    assert told(ladder_of(history(table)), RowKind.STEP) == [
        "load | . .",
        "quick | . .",
        "last | . .",
        "load ends | . .",
    ]


def test_a_queue_that_stands_is_told() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E     E     E E
        server:8080 > client:41000 | - E E/142 E/142 E E
    """
    found = ladder_of(history(table, request(3.5, error="ReadTimeout")))
    (row,) = rows_of(list(found.rows), RowKind.QUEUE)
    assert (said(row), row.server.queue) == ("server does not read", ("Recv-Q", 142))


def test_a_segment_that_takes_its_time_arrives_in_a_row_of_its_own() -> None:
    table = """
        server:8080                | L L L  L  L  L
        client:41000 > server:8080 | - E F1 F1 F2 F2
        server:8080 > client:41000 | - E E  E  CW CW
    """
    found = ladder_of(history(table))
    assert segments(found)[3] == "client > FIN | FIN_WAIT1 ."
    assert "the FIN of client arrives | . CLOSE_WAIT/0" in told(found)


def test_a_server_that_closes_after_its_peer_is_not_told_as_the_first() -> None:
    assert sentence(OwnAccount("server", "idle")) == "closed by server: idle"
    assert sentence(OwnAccount("server", "peer")) == "server closed after its peer had"
