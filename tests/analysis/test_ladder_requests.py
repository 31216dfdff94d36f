"""Requests in a ladder: joined with their connection and with what the server says, many in one row."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.analysis.ladder.model import RowKind
from orchestrator.history.model import Side
from orchestrator.recording.events import Event
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, said
from tests.support.builders import history, request
from tests.support.ladders import LISTENS, by_server, ladder_of, rows_of, served, told


def open_connection(*more: Event) -> list[str]:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E E E E
        server:8080 > client:41000 | - E E E E E
    """
    return told(ladder_of(history(table, *more)))[3:-1]


def test_many_requests_are_one_row() -> None:
    many = [event for n in range(1, 2001) for event in (request(1 + n / 1000, nth=n), served(1 + n / 1000 - 0.005, n))]
    assert open_connection(*many) == [
        "client > GET / | . .",
        "server > 200 after 10 ms | . .",
        "1999 more requests in 2.0 s: all 200 | . .",
        "2.0 s idle | . .",
    ]


def test_pauses_and_failures_among_requests_are_shown() -> None:
    rows = open_connection(
        *(request(1 + n / 100, nth=n) for n in range(1, 4)),
        *(request(3 + n / 100, nth=n) for n in range(4, 7)),
        request(3.07, nth=7, error="ReadTimeout"),
    )
    assert rows == [
        "client > GET / | . .",
        "server > 200 after 10 ms | . .",
        "2 more requests in 20 ms: all 200 | . .",
        "2.0 s idle | . .",
        "client > GET / | . .",
        "server > 200 after 10 ms | . .",
        "2 more requests in 20 ms: all 200 | . .",
        "client > GET / | . .",
        "ReadTimeout after 10 ms | . .",
        "1.9 s idle | . .",
    ]


def test_a_request_that_a_speaking_server_never_served() -> None:
    table = f"""
        {LISTENS}
        client:41000 > server:8080 | - E E E E E
        server:8080 > client:41000 | - E E E E E
    """
    run = history(table, request(2.5, error="ReadTimeout"))
    (row,) = [row for row in ladder_of(run).rows if row.kind is RowKind.UNSERVED]
    assert tuple(beneath(row.notes)) == ("server did not serve it",)
    silent = ladder_of(replace(run, speaking=frozenset()))
    assert not [row for row in silent.rows if row.kind is RowKind.UNSERVED], "a server that says nothing is not accused"


def test_the_end_of_file_proves_a_fin_that_no_sample_shows() -> None:
    table = """
        ticks 0 0.05 0.1 5.0 5.05 5.1
        server:8080                | L L L L L L
        client:41000 > server:8080 | - E E E - -
        server:8080 > client:41000 | - E E E - -
    """
    failed = request(5.04, nth=2, error="RemoteDisconnected")
    found = ladder_of(history(table, request(0.08), failed, by_server("closed", 5.02, reason="idle")))
    fin = next(row for row in found.rows if said(row) == "FIN")
    assert (fin.sender, fin.after, fin.before) == (Side.SERVER, 5.02, 5.04)
    assert [said(row) for row in found.rows].index("FIN") < [row.kind for row in found.rows].index(RowKind.ERROR)
    assert "closed by server: idle" in headline(found.headline)
    assert "a request failed with RemoteDisconnected" in headline(found.headline)
    # An error on sending that the library swallowed: what looks like an end of file may have been a RST.
    swallowed = failed | {"send_error": {"name": "BrokenPipeError", "text": ""}}
    reset = ladder_of(history(table, request(0.08), swallowed, by_server("closed", 5.02, reason="idle")))
    assert "FIN" not in [said(row) for row in reset.rows]


def test_requests_go_to_the_connection_that_carried_them_when_a_port_is_used_again() -> None:
    table = """
        server:8080                   | L L L L L L
        client:41000 > server:8080 #a | - E - - - -
        server:8080 > client:41000 #b | - E - - - -
        client:41000 > server:8080 #c | - - - E E E
        server:8080 > client:41000 #d | - - - E E E
    """
    run = history(table, request(1.5), request(3.4), request(3.6, nth=2))
    requests = [len(rows_of(list(ladder_of(run, number).rows), RowKind.REQUEST)) for number in (1, 2)]
    assert requests == [1, 2]
