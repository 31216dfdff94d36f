"""RST segments in a ladder: what they answer, whether they arrive, and the kernel's reasons in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, said
from tests.support.builders import request
from tests.support.closings import rst
from tests.support.ladders import ENDS, TICKS, ladder_of, lost, sent, traced


@pytest.mark.parametrize("reason", ["TCP_TIMEWAIT_SOCKET", pytest.param("", id="of a kernel that gives none")])
def test_an_answer_that_came_too_late_explains_the_rst(reason: str) -> None:
    table = f"""
        {TICKS}
        server:8080                | L L L L L L  L  L  L  L  L L L
        client:41000 > server:8080 | - - E E E F1 F2 F2 F2 F2 - - -
        server:8080 > client:41000 | - - E E E CW CW CW CW CW - - -
    """
    served = {"ev": "served", "t": 1.5, "node": "server", "method": "GET", "path": "/", "status": 200, "nth": 1}
    rst = {"ev": "rst", "t": 4.0, "node": "client", "reason": reason, **ENDS["client"]}
    slow = {**request(1.995, error="ReadTimeout"), "t0": 1.4}
    found = ladder_of(traced(table, slow, {**served, **ENDS["server"]}, rst=(rst,)))
    assert sent(found)[-2:] == ["server > 200, too late | . .", "client > RST | CLOSED CLOSED"]
    assert tuple(beneath(found.rows[-1].notes)) == ("data came after it had closed",)


def test_a_rst_that_gets_lost_and_why_it_was_sent() -> None:
    table = f"""
        {TICKS}
        server:8080                | L L L L L L L L L L L L L
        client:41000 > server:8080 | - - E E E E E - - - - - -
        server:8080 > client:41000 | - - E E E E E E E E E E E
    """
    event = {"ev": "rst", "t": 2.99, "node": "client", "reason": "TCP_KEEPALIVE_TIMEOUT", **ENDS["client"]}
    run = traced(table, rst=(event,))
    (connection,) = run.connections
    sent = rst("client", at=(2.99, 2.99))
    run = replace(run, connections=(replace(connection, closing=sent),))
    found = ladder_of(run)
    assert lost(found) == ["client > RST"], "the server's end lives on"
    assert headline(found.headline).startswith(
        "client reset the connection with a RST that never arrived: server did not answer its keep-alive probes"
    )


@pytest.mark.parametrize(
    ("node", "reason", "words"),
    [
        ("client", "TCP_ABORT_ON_CLOSE", "closed with data unread"),
        ("client", "TCP_STATE", "aborted by SO_LINGER 0"),
        ("server", "TCP_STATE", "aborted by SO_LINGER 0, or never accepted"),
        ("server", "NO_SOCKET", "no socket there"),
        ("server", "TCP_FLAGS", "no such connection, only a listening socket"),
        ("server", "MPTCP_RST_EUNSPEC", "the kernel's reason: mptcp rst eunspec"),
        ("server", "", None),
    ],
)
def test_the_kernel_s_reasons_in_words(node: str, reason: str, words: str | None) -> None:
    table = """
        ticks 0 1 2 3
        server:8080                | L L L L
        client:41000 > server:8080 | - E E -
        server:8080 > client:41000 | - E E -
    """
    rst = {"ev": "rst", "t": 2.5, "node": node, "reason": reason, **ENDS[node]}
    (row,) = [row for row in ladder_of(traced(table, rst=(rst,))).rows if said(row) == "RST"]
    assert tuple(beneath(row.notes)) == ((words,) if words else ())
