"""What a ladder says of data that no program reports, of servers at work, and of what nothing proves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.analysis.exchanges import reports_of_each
from orchestrator.analysis.ladder.model import Ladder, Row, RowKind
from orchestrator.history.model import History
from orchestrator.recording.events import Event
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, said
from tests.support.builders import history, request
from tests.support.ladders import (
    CLIENT,
    LISTENS,
    SERVER,
    TICKS,
    by_server,
    ladder_of,
    lost,
    off,
    picture,
    rows_of,
    served,
    told,
    traced,
)

pytestmark = pytest.mark.pure

OPEN = f"""
    {LISTENS}
    client:41000 > server:8080 | - E E E E E
    server:8080 > client:41000 | - E E E E E
"""


def answered(t: float, nth: int = 1) -> Event:
    return by_server("answered", t, status=200, nth=nth)


def counted(t: float, side: str = "client", **numbers: Any) -> Event:
    """A sample of an end whose kernel counted these."""
    local, peer = (CLIENT, SERVER) if side == "client" else (SERVER, CLIENT)
    sk = "1" if side == "client" else "2"
    event: Event = {"ev": "socket", "t": t, "node": side, "sk": sk, "local": local, "peer": peer}
    return event | {"state": "ESTABLISHED", "recv_q": 0, "send_q": 0, "received": 0} | numbers


def silent(run: History) -> History:
    """As if no program reported."""
    return replace(run, asking=frozenset(), speaking=frozenset())


def silences(found: Ladder) -> list[str]:
    return [said(row) for row in found.rows if row.kind is RowKind.SILENCE]


def rows(found: Ladder, kind: RowKind) -> list[Row]:
    return rows_of(list(found.rows), kind)


# -- what a server began, and what it answered -----------------------------------------------------------------------


def test_a_server_at_work_has_not_answered_and_its_client_is_not_idle() -> None:
    found = ladder_of(history(OPEN, served(1.5), answered(4.5)))
    (answer,) = rows(found, RowKind.RESPONSE)
    assert (answer.before, said(answer)) == (4.5, "200")
    assert silences(found)[1:] == ["3.0 s, no answer yet: handler at work", "500 ms idle"]


@pytest.mark.parametrize(("came", "waits"), [(4.27, "no answer yet: handler at work"), (1.6, "no whole answer yet")])
def test_an_answer_that_comes_at_the_end_of_a_silence_had_not_begun_before(came: float, waits: str) -> None:
    """Its client's program reports it a little later than its kernel got it."""
    sent: dict[str, Any] = {"acked": 143, "sent": 142, "sent_at": 1.5}
    answer: dict[str, Any] = {"received": 200, "received_at": came}
    samples = [counted(2, **sent, **(answer if came < 2 else {})), counted(5, **sent, **answer)]
    found = ladder_of(history(OPEN, request(4.3) | {"t0": 1.5}, served(1.5), *samples))
    assert f"2.8 s, {waits}" in silences(found)


def test_an_answer_that_was_never_written_is_not_drawn() -> None:
    # The server's other connection shows that it tells when it answers.
    other = answered(1.2) | {"peer": "198.18.0.9:1"}
    found = ladder_of(history(OPEN, other, served(1.5)))
    assert rows(found, RowKind.RESPONSE) == []
    assert silences(found)[1:] == ["3.5 s, no answer yet: handler at work"]


def test_of_a_recording_without_answers_none_is_drawn_and_nothing_is_called_idle() -> None:
    found = ladder_of(history(OPEN, served(1.5)))
    assert rows(found, RowKind.RESPONSE) == []
    assert silences(found)[1:] == ["3.5 s, whether idle is not known"]


def test_many_requests_without_reported_answers_still_share_a_row() -> None:
    found = ladder_of(history(OPEN, *(served(1 + n / 100, n) for n in range(1, 50))))
    assert [said(row) for row in rows(found, RowKind.REQUESTS)] == ["48 more requests in 470 ms: answers not reported"]


def test_the_peer_that_closes_while_the_server_works_is_not_idle() -> None:
    table = f"""
        {TICKS}
        server:8080                | L L L L L L L L L L L L L
        client:41000 > server:8080 | - - E E E E E F1 F2 F2 F2 F2 F2
        server:8080 > client:41000 | - - E E E E E CW CW CW CW CW CW
    """
    other = answered(0.5) | {"peer": "198.18.0.9:1"}
    found = ladder_of(history(table, other, served(1.5)))
    assert "after 1.5 s without an answer" in headline(found.headline)
    assert "idle" not in headline(found.headline)


def test_an_answer_that_its_client_no_longer_wanted_is_told_as_that() -> None:
    found = ladder_of(history(OPEN, request(2.0, error="ReadTimeout"), served(1.995), answered(4.0)))
    (answer,) = rows(found, RowKind.RESPONSE)
    assert (said(answer), answer.before, answer.unproven) == ("200, too late", 4.0, True)
    assert "?" in picture(found)


# -- what nothing proves ---------------------------------------------------------------------------------------------


def test_a_request_to_a_node_that_is_cut_off_is_lost_whoever_the_server_is() -> None:
    late = request(4.5, error="ETIMEDOUT") | {"t0": 2.5}
    run = traced(OPEN, *off(2.2, 9.0), late)
    assert lost(ladder_of(replace(run, speaking=frozenset()))) == ["client > GET /"]


def test_of_a_request_without_an_answer_nothing_shows_that_it_arrived() -> None:
    run = history(OPEN, request(2.5, error="ReadTimeout") | {"t0": 1.5})
    (row,) = rows(ladder_of(replace(run, speaking=frozenset())), RowKind.REQUEST)
    assert row.unproven
    assert not row.lost


def test_data_that_came_to_the_server_shows_that_the_request_arrived() -> None:
    came = counted(2, "server", received=142, received_at=1.6)
    run = history(OPEN, request(2.5, error="ReadTimeout") | {"t0": 1.5}, came)
    (row,) = rows(ladder_of(replace(run, speaking=frozenset())), RowKind.REQUEST)
    assert not row.unproven
    assert row.after <= 1.6 <= row.before < 1.7


# -- data that nobody reports ----------------------------------------------------------------------------------------


def test_data_that_no_program_reports_is_told_and_the_rest_is_idle() -> None:
    run = silent(
        history(
            OPEN,
            counted(1, acked=1),
            counted(2, acked=143, sent=142, sent_at=1.2, received=200, received_at=1.25),
        )
    )
    found = ladder_of(run)
    (data,) = rows(found, RowKind.TRAFFIC)
    assert said(data) == "data, 142 bytes to the server, 200 back: nobody reports it"
    assert data.before == 1.25
    assert silences(found) == ["3.8 s idle"]


def test_between_rare_samples_that_each_show_new_data_nothing_is_idle() -> None:
    """All of it may have gone at any time since the sample before."""
    numbers = [(2, 142, 1.9), (3, 284, 2.9), (4, 426, 3.9)]
    run = silent(history(OPEN, *(counted(t, acked=sent + 1, sent=sent, sent_at=last) for t, sent, last in numbers)))
    found = ladder_of(run)
    (data,) = rows(found, RowKind.TRAFFIC)
    assert (data.after, data.before) == (1.9, 3.9)
    assert silences(found) == ["0.9-1.9 s, whether idle is not known", "1.1 s idle"]


def test_nothing_is_idle_before_a_retransmission_since_the_sample_that_had_not_seen_the_data() -> None:
    """The kernel tells of the last segment; that a segment was sent again tells that it had gone before."""
    run = silent(history(OPEN, counted(1), counted(4, sent=9000, sent_at=3.9)))
    again: Event = {"t": 3.5, "ev": "retransmit", "node": "client", "local": CLIENT, "peer": SERVER}
    found = ladder_of(replace(run, exact=True, retransmits={"client": (again | {"state": "ESTABLISHED"},)}))
    (idle,) = (row for row in found.rows if row.kind is RowKind.SILENCE and row.after < 3.5)
    assert (idle.before, said(idle)) == (3.0, "2.0-3.0 s idle")


def test_a_silence_ends_where_data_begins_that_stands_further_down() -> None:
    """The client closes while its data goes on: the row of the data ends later, and began before."""
    table = f"""
        {TICKS}
        server:8080                | L L L L L L L L      L      L      L      L      L
        client:41000 > server:8080 | - - E E E E E F1/0/9 F1/0/9 F1/0/9 F1/0/9 F1/0/9 F1/0/9
        server:8080 > client:41000 | - - E E E E E E      E      E      E      E      E
    """
    numbers = [(3.001, 100, 2.95), (3.99, 900, 3.9)]
    run = silent(traced(table, *(counted(t, state="FIN_WAIT1", send_q=9, sent=n, sent_at=at) for t, n, at in numbers)))
    found = ladder_of(run)
    (data,) = rows(found, RowKind.TRAFFIC)
    *_, before = (row for row in found.rows if row.kind is RowKind.SILENCE and row.after < 2.9)
    assert before.before <= data.after < 2.99


def test_where_neither_kernel_nor_program_tells_nothing_is_called_idle() -> None:
    assert silences(ladder_of(silent(history(OPEN)))) == ["4.0-5.0 s, whether idle is not known"]
    assert silences(ladder_of(history(OPEN))) == ["4.0-5.0 s, whether idle is not known"], "it may be another program's"
    reported = history(OPEN, request(1.2), served(1.195), answered(1.199))
    assert silences(ladder_of(reported)) == ["3.8 s idle"]


def test_what_no_sample_and_no_fin_tells_of_the_end_of_a_silence_is_left_open() -> None:
    """It ends between two samples, no FIN tells what went after the first of them, and no program reports."""
    gone = OPEN.replace("E E E E E", "E E E E -")
    run = history(gone, counted(2, sent=9, received=0, sent_at=1.2))
    assert silences(ladder_of(silent(run))) == ["2.8-3.8 s, the first 2.8 s idle"]


def test_data_in_what_would_look_idle_is_not_passed_over() -> None:
    run = history(
        OPEN, request(1.2), served(1.195), answered(1.199),
        counted(4, acked=999, sent=998, sent_at=3.1, received=200, received_at=3.2),
    )  # fmt: skip
    assert silences(ladder_of(run)) == ["3.8 s, data under way"]


def test_requests_that_nobody_reports_are_not_zero() -> None:
    run = history(OPEN, counted(2, acked=143, sent=142, sent_at=1.2))
    assert [one.count for one in reports_of_each(run)] == [None]
    assert [one.count for one in reports_of_each(silent(history(OPEN)))] == [None]
    assert [one.count for one in reports_of_each(history(OPEN))] == [0]
    assert [one.count for one in reports_of_each(history(OPEN, request(1.5)))] == [1]


# -- retransmissions -------------------------------------------------------------------------------------------------


def test_where_the_kernel_counted_more_the_trace_shows_the_least() -> None:
    run = traced(OPEN, client=(2.1, 2.4, 3.0))
    found = ladder_of(replace(run, retransmits_counted={"client": 9}))
    assert [said(row) for row in rows(found, RowKind.RETRANSMIT)] == ["data retransmission, at least 3 times in 900 ms"]
    assert "the trace shows 3 retransmissions of client, its kernel counted 9" in " ".join(beneath(found.footnotes))
    assert "at least" not in " ".join(told(ladder_of(run)))
