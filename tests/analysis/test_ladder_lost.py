"""What a ladder shows of segments that never got to the other end, or that were never sent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.analysis.ladder.headlinenotes import Headline
from orchestrator.analysis.ladder.model import Head, Ladder, Row, RowKind
from orchestrator.analysis.ladder.notes import Request
from orchestrator.history.model import Closing, ClosingKind, Side
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, said
from tests.conftest import Simctl
from tests.support.builders import history, request
from tests.support.ladders import ENDS, TICKS, ladder_of, lost, off, picture, sent, told, traced
from tests.support.vanishing import GET, pair, write

OPEN = f"""
    {TICKS}
    server:8080                | L L L L L L L L L L L L L
    client:41000 > server:8080 | - - E E E E E E E E E E E
    server:8080 > client:41000 | - - E E E E E E E E E E E
"""


# -- SYN -------------------------------------------------------------------------------------------------------------


def test_a_syn_that_nobody_took_up() -> None:
    """The trace has no end of the server: neither SYN led to anything. Samples alone would not prove that."""
    table = "ticks 0 1 2 3\nserver:8080 | L L L L\nclient:41000 > server:8080 | - SS SS -"
    found = ladder_of(traced(table, client=(1.5,)))
    assert lost(found) == ["client > SYN", "client > SYN retransmission"]
    assert [tuple(beneath(row.notes)) for row in found.rows if row.lost] == [("server did not take it up",)] * 2
    assert not lost(ladder_of(history(table)))
    cut = ladder_of(history(table, *off(0.0, 2.5)))
    assert lost(cut) == ["client > SYN"], "but while the server is cut off nothing gets there"
    assert not [row.notes for row in cut.rows if row.lost and row.notes]


def test_the_last_syn_before_the_answer_came_through() -> None:
    table = """
        ticks 0 1 2 2.001 3
        server:8080                | L L  L  L  L
        client:41000 > server:8080 | - SS SS E  E
        server:8080 > client:41000 | - -  -  E  E
    """
    found = ladder_of(traced(table, client=(1.2, 2.0005)))
    assert sent(found)[:5] == [
        "client > SYN | SYN_SENT .",
        "client > SYN retransmission | . .",
        "client > SYN retransmission | . .",
        "server > SYN+ACK | ESTABLISHED .",
        "client > ACK | . ESTABLISHED",
    ]
    assert [row.lost for row in found.rows if said(row).startswith("SYN")] == [True, True, False, False]


def test_who_gave_up_calling() -> None:
    table = "ticks 0 1 2 3\nserver:8080 | L L L L\nclient:41000 > server:8080 | - SS SS -"
    run = traced(table)
    (connection,) = run.connections
    run = replace(run, connections=(replace(connection, closing=Closing(ClosingKind.TIMEOUT, Side.CLIENT, "client")),))
    found = ladder_of(run)
    assert told(found)[-1] == "gives up: no answer came | CLOSED ."
    assert headline(found.headline) == "never established: client gave up, no answer came"


# -- FIN -------------------------------------------------------------------------------------------------------------


LOST_FIN = f"""
    {TICKS}
    server:8080                | L L L L L L  L  L  L  L  L  L  L
    client:41000 > server:8080 | - - E E E E  E  E  E  E  E  E  E
    server:8080 > client:41000 | - - E E E F1 F1 F1 F1 F1 F1 F1 F1
"""


def test_a_fin_that_is_never_noticed() -> None:
    found = ladder_of(traced(LOST_FIN, server=(2.2, 3.5)))
    assert lost(found) == ["server > FIN", "server > FIN retransmission, 2 times in 1.3 s"]
    assert headline(found.headline).startswith("server closed first, with a FIN that never arrived")
    assert not lost(ladder_of(history(LOST_FIN))), "a sample late, and the client may have noticed"


def test_a_fin_whose_acknowledgment_may_be_what_was_lost_is_not_called_lost() -> None:
    """It is not known when the other end noticed: between the two samples, as the FINs."""
    table = f"""
        {TICKS}
        server:8080                | L L L L L  L  L  L  L  L  L  L  L
        client:41000 > server:8080 | - - E E F1 F2 F2 F2 F2 F2 F2 T  T
        server:8080 > client:41000 | - - E E E  CW CW CW CW CW CW LA LA
    """
    assert lost(ladder_of(traced(table, server=(6.0, 7.0)))) == []


def test_the_fin_that_comes_through_brings_the_change() -> None:
    table = f"""
        {TICKS}
        server:8080                | L L L L L L  L  L  L  L  L  L  L
        client:41000 > server:8080 | - - E E E E  E  CW CW CW CW CW CW
        server:8080 > client:41000 | - - E E E F1 F1 F1 F2 F2 F2 F2 F2
    """
    found = ladder_of(traced(table, server=(2.2, 2.9905)))
    assert sent(found)[3:] == [
        "server > FIN | . FIN_WAIT1",
        "server > FIN retransmission | . .",
        "server > FIN retransmission | CLOSE_WAIT/0 .",
        "client > ACK | . FIN_WAIT2",
    ]
    assert lost(found) == ["server > FIN", "server > FIN retransmission"]
    assert headline(found.headline).startswith("server closed first, with a FIN that was lost at first")


def test_both_close_and_neither_fin_comes_through() -> None:
    """They did not cross: each was lost, and each is above those that were sent again."""
    table = f"""
        {TICKS}
        server:8080                | L L L L L L  L  L  L  L  L  L  L
        client:41000 > server:8080 | - - E E E E  E  F1 F1 F1 F1 F1 F1
        server:8080 > client:41000 | - - E E E F1 F1 F1 F1 F1 F1 F1 F1
    """
    found = ladder_of(traced(table, *off(1.5, 5.0), server=(2.2, 2.6, 3.4), client=(3.6,)))
    assert sent(found)[3:] == [
        "server > FIN | . FIN_WAIT1",
        "server > FIN retransmission, 2 times in 400 ms | . .",
        "client > FIN | FIN_WAIT1 .",
        "server > FIN retransmission | . .",
        "client > FIN retransmission | . .",
    ]
    assert len(lost(found)) == 5
    assert "; client closed 1.0 s later without having seen it" in headline(found.headline)


def test_fins_that_crossed_still_share_a_row() -> None:
    table = """
        ticks 0 0.99 1 2 2.001 2.002 3
        server:8080                | L L L L  L  L L
        client:41000 > server:8080 | - - E F1 CG T T
        server:8080 > client:41000 | - - E F1 CG T T
    """
    assert "FIN | FIN_WAIT1 FIN_WAIT1" in sent(ladder_of(traced(table)))


WAITS = (
    TICKS
    + """
    server:8080                | L L L L L       L L          L          L          L          L          L L
    client:41000 > server:8080 | - - E E E/0/142 E/0/142 E/0/142 F1/0/143 F1/0/143 F1/0/143 F1/0/143 {}
    server:8080 > client:41000 | - - E E E       E E          E          E          E          E          {}
"""
)


def test_a_fin_behind_data_that_is_not_acknowledged_was_not_seen_to_be_sent() -> None:
    rst = {"ev": "rst", "t": 7.9, "node": "client", "reason": "TCP_ABORT_ON_DATA", **ENDS["client"]}
    found = ladder_of(traced(WAITS.replace("{}", "- -"), *off(1.5, 5.0), client=(2.5, 3.5, 7.8), rst=(rst,)))
    assert "FIN" not in [said(row) for row in found.rows]
    closing = next(row for row in found.rows if row.client.state == "FIN_WAIT1")
    assert (closing.kind, closing.sender) == (RowKind.STATE, None)
    assert said(closing) == "client closes: its FIN waits behind 142 unacknowledged bytes"
    assert closing.client.queue == ("Send-Q", 143)
    again = [(said(row), row.lost) for row in found.rows if row.kind is RowKind.RETRANSMIT]
    assert again == [("data retransmission", True), ("data retransmission", True), ("data retransmission", False)]
    assert headline(found.headline).startswith(
        "client closed first; its FIN waited behind 142 unacknowledged bytes; then client reset the connection"
    )


def test_a_fin_that_waited_is_drawn_when_it_comes() -> None:
    found = ladder_of(traced(WAITS.replace("{}", "F2 F2", 1).replace("{}", "CW CW"), client=(2.5, 3.5)))
    assert told(found, RowKind.STATE, RowKind.SEGMENT, RowKind.RETRANSMIT)[4:] == [
        "client closes: its FIN waits behind 142 unacknowledged bytes | FIN_WAIT1/143 .",
        "client > data retransmission | . .",
        "client > FIN | . CLOSE_WAIT/0",
        "server > ACK | FIN_WAIT2 .",
    ]
    assert headline(found.headline).startswith(
        "client closed first, with a FIN that waited behind 142 unacknowledged bytes; left"
    )


def test_the_wire_says_when_a_fin_left() -> None:
    """Where its segments were recorded, a FIN is drawn when it left, however soon after its end had closed."""
    table = f"""
        {TICKS}
        server:8080                | L L L L L L L        L  L  L  L  L  L
        client:41000 > server:8080 | - - E E E E F1/0/143 F2 F2 F2 F2 F2 F2
        server:8080 > client:41000 | - - E E E E E        CW CW CW CW CW CW
    """
    run = traced(table)
    left = replace(run, connections=(replace(run.connections[0], fins={Side.CLIENT: 2.998}),))
    drawn = told(ladder_of(left), RowKind.STATE, RowKind.SEGMENT)[3:]
    assert drawn[0] == "client closes: its FIN waits behind 142 unacknowledged bytes | FIN_WAIT1 ."
    assert drawn[1] == "client > FIN | . CLOSE_WAIT/0"
    fin = next(row for row in ladder_of(left).rows if said(row) == "FIN")
    assert (fin.after, fin.before) == (2.998, 2.998)


def test_a_fin_that_the_wire_does_not_have_is_not_drawn() -> None:
    """A program shut its end down with data unsent and disconnected: a RST left, and no FIN ever (TCP_DISCONNECT)."""
    table = f"""
        {TICKS}
        server:8080                | L L L L L L  L L L L L L L
        client:41000 > server:8080 | - - E E E CW - - - - - - -
        server:8080 > client:41000 | - - E E E F2 - - - - - - -
    """.replace("CW -", "LA -")
    rst = {"ev": "rst", "t": 3.9, "node": "client", "reason": "TCP_DISCONNECT_WITH_DATA", **ENDS["client"]}
    run = traced(table, rst=(rst,))
    wire = replace(run, connections=(replace(run.connections[0], fins={Side.SERVER: 2.2}),))
    assert "client > FIN | LAST_ACK ." in sent(ladder_of(run)), "without the wire, the state is all there is"
    found = ladder_of(wire)
    assert [row.sender for row in found.rows if said(row).startswith("FIN")] == [Side.SERVER]
    assert said(next(row for row in found.rows if row.client.state == "LAST_ACK")) == (
        "client closes: its FIN waits behind data"
    )
    cut = replace(traced(table, *off(1.5, 9.0)), connections=wire.connections)
    assert "client > FIN" in lost(ladder_of(cut)), "what a cut node sends is on no wire"


def test_a_fin_that_the_other_end_answered_to_is_not_lost() -> None:
    """A NAT may have forgotten the connection before it, as it tells; that the FIN came shows that it had not."""
    table = OPEN.replace("E E E E\n", "F1 F2 F2 F2\n", 1)
    table = "CW CW CW CW\n".join(table.rsplit("E E E E\n", 1))
    assert not lost(ladder_of(traced(table, *off(2.0, 9.0))))


def test_a_fin_that_ended_last_ack_at_once_is_not_lost() -> None:
    table = f"""
        {TICKS}
        server:8080                | L L L L L L  L  L  L  L  L  L  L
        client:41000 > server:8080 | - - E E E E  LA -  -  -  -  -  -
        server:8080 > client:41000 | - - E E E F1 F2 -  -  -  -  -  -
    """
    forgotten = off(2.5, 9.0)
    assert not lost(ladder_of(traced(table, *forgotten)))
    late = table.replace("LA -  -  -", "LA LA LA LA").replace("F2 -  -  -", "F2 F2 F2 F2")
    assert lost(ladder_of(traced(late, *forgotten)))


# -- requests -------------------------------------------------------------------------------------------------------


def test_requests_to_a_node_that_is_cut_off() -> None:
    run = traced(OPEN, *off(1.5, 5.0), {**request(3.9, error="ReadTimeout"), "t0": 2.0}, client=(2.2, 2.4))
    assert lost(ladder_of(run)) == ["client > GET /", "client > data retransmission, 2 times in 200 ms"]
    for nodes in (off(1.5, 5.0, node="proxy"), off(4.5, 5.0)):
        other = traced(OPEN, *nodes, {**request(3.9, error="ReadTimeout"), "t0": 2.0}, client=(2.2, 2.4))
        assert not lost(ladder_of(other))


def test_the_network_that_was_cut_may_be_another_one() -> None:
    run = traced(OPEN, *off(1.5, 5.0, network="back"), {**request(3.9, error="ReadTimeout"), "t0": 2.0})
    assert lost(ladder_of(run)) == ["client > GET /"], "the server has only one"
    two = replace(run, addresses={**run.addresses, "198.18.1.3": "server"})
    assert not lost(ladder_of(two))


# -- how it looks ----------------------------------------------------------------------------------------------------


def line_with(drawn: str, text: str) -> str:
    return next(line for line in drawn.splitlines()[3:] if text in line)


def test_a_lost_arrow_ends_before_the_other_line() -> None:
    found = ladder_of(traced(LOST_FIN, *off(1.5, 9.0), {**request(1.95, error="ReadTimeout"), "t0": 1.6}))
    drawn = picture(found)
    assert line_with(drawn, " FIN ").endswith("┃      x────────────── FIN ───────────────┤ FIN_WAIT1")
    assert line_with(drawn, " GET ").endswith("┠───────────── GET / ──────────────x      ┃")
    assert line_with(picture(found, 64, ascii_only=True), " GET ").endswith("|------ GET / -------x    |")


def test_words_between_the_lines_are_not_cut() -> None:
    words = "a story that is longer than the room between two lines of a picture has"
    kinds = [kind for kind in RowKind if kind is not RowKind.CROSSING]  # whose text is never longer than FIN
    told = (Request(words),)
    rows = tuple(Row(1, 1, kind, told, sender=Side.CLIENT, notes=told, lost=True) for kind in kinds)
    drawn = picture(Ladder("c1", Headline((), ()), Head(f"{words}!", "a:1"), Head("server", "a:2"), rows))
    assert "…" not in drawn
    assert drawn.count("picture") == 2 * len(rows) + 1


# -- the real thing --------------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_what_is_sent_to_a_node_that_is_cut_off(simctl: Simctl, tmp_path: Path) -> None:
    """The FIN of a client that closes meanwhile gets lost, and comes when the link is back."""
    scenario = write(
        tmp_path,
        pair(),
        [
            f"{{name: load, request: {GET}}}",
            "{name: vanish, link: {node: server, up: false}}",
            "{name: call, request: {from: client, url: 'http://server:8080/', timeout: 300ms}}",
            "{name: leave, close: {from: client, session: pool}}",
            "{name: gone, wait: 500ms}",
            "{name: back, link: {node: server, up: true}}",
            "{name: rest, wait: 3s}",
        ],
    )
    done = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    closed, called = (
        json.loads(simctl("show", run, "--conn", conn, "--format", "json").stdout)["rows"] for conn in ("c1", "c2")
    )
    fins = [row for row in closed if row["text"].startswith("FIN") and row["from"] == "client"]
    assert fins[0]["lost"]
    assert [row["text"] for row in called if row["lost"]][:1] == ["SYN"]
    assert next(row for row in closed if row["server"]["state"] == "CLOSE_WAIT")["t"][1] > fins[0]["t"][0] + 0.5
