"""The picture: what it looks like, that it fits, that ASCII is enough, that text from nodes cannot steer a terminal."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.analysis.ladder.headlinenotes import ClosedFirst, Headline
from orchestrator.analysis.ladder.model import End, Head, Ladder, Row, RowKind
from orchestrator.analysis.ladder.notes import Request
from orchestrator.history.model import Side
from orchestrator.report.text.ladder import NARROWEST, can_draw, draw
from orchestrator.tcp.states import TcpState as S
from orchestrator.text.durations import TIME_WIDTH, duration, time_between
from orchestrator.text.numbers import short_count
from tests.support.builders import HOSTS, history, request
from tests.support.ladders import ladder_of, picture

SERVER, CLIENT = f"{HOSTS['server']}:8080", f"{HOSTS['client']}:41000"


def idle_close() -> Ladder:
    table = """
        ticks 0 0.05 0.1 5.05 5.1 8.05 8.1
        server:8080                | L L L L    L    L    L
        client:41000 > server:8080 | - E E CW/1 CW/1 CW/1 -
        server:8080 > client:41000 | - E E F1   F2   F2   T
    """
    said = {"ev": "closed", "t": 5.02, "node": "server", "local": SERVER, "peer": CLIENT, "reason": "idle"}
    served = {"ev": "served", "t": 0.075, "node": "server", "local": SERVER, "peer": CLIENT, "nth": 1}
    return ladder_of(history(table, request(0.08), served, said))


PICTURE = """\
c1  server closed first, with a FIN after 5.0 s idle (closed by server: idle);
    TIME_WAIT landed on server

               ┌──────────────────┐                       ┌─────────────────┐
               │      client      │                       │     server      │
               │ 198.18.0.2:41000 │                       │ 198.18.0.3:8080 │
    seconds    └─────────┬────────┘                       └────────┬────────┘
  0.00-0.05              ├───────────────── SYN ──────────────────►│
             ESTABLISHED ┃◄─────────────── SYN+ACK ────────────────┤
                         ┠───────────────── ACK ──────────────────►┃ ESTABLISHED
      0.075              ┠──────────────── GET / ─────────────────►┃
      0.080              ┃◄─────────── 200 after 10 ms ────────────┨
                         ┇        · · ·  5.0 s idle  · · ·         ┇
  5.02-5.05   CLOSE_WAIT │◄───────────────── FIN ──────────────────┤ FIN_WAIT1
                Recv-Q 1 │         closed by server: idle          │
  5.05-5.10              ├───────────────── ACK ──────────────────►│ FIN_WAIT2
                         ┆           · · ·  3.0 s  · · ·           ┆
  8.05-8.10              ├───────────────── FIN ──────────────────►┊ TIME_WAIT
                  closed ┴◄───────────────── ACK ──────────────────┊
      8.100                      · · ·  the run ends  · · ·        ┊ TIME_WAIT
                             TIME_WAIT on server has 60 s to go    ┊

  5.27-5.32, ~5.30: between two observations; 5.303: to the millisecond
  Recv-Q 1 in CLOSE_WAIT: the FIN came, the program has not read the end yet"""


def test_the_picture_of_the_product() -> None:
    assert picture(idle_close()) == PICTURE


def test_ascii_says_the_same() -> None:
    drawn = picture(idle_close(), ascii_only=True)
    assert drawn.isascii()
    assert len(drawn.splitlines()) == len(PICTURE.splitlines())
    assert "  5.02-5.05   CLOSE_WAIT |<----------------- FIN ------------------| FIN_WAIT1" in drawn
    assert "                  closed +<----------------- ACK ------------------:" in drawn


def test_a_wide_terminal_puts_the_queue_beside_the_state() -> None:
    drawn = picture(idle_close(), 120)
    assert "CLOSE_WAIT Recv-Q 1 │◄─" in drawn
    assert max(map(cell_len, drawn.splitlines())) > 80
    assert picture(idle_close(), 500) == drawn, "arrows do not grow for ever"


def headline(name: str) -> Headline:
    """One that names a node so."""
    return Headline((), (ClosedFirst(name),))


@pytest.mark.parametrize("width", [NARROWEST, 72, 80, 103, 104, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    nasty = "GET /" + "中文" * 60
    rows = tuple(
        Row(123456.25, 123456.75, kind, (Request(nasty),), End(S.ESTABLISHED, True, ("Recv-Q", 6_291_456)),
            End(S.CLOSE_WAIT, True), Side.CLIENT, notes=(Request(nasty), Request("x" * 300)))
        for kind in RowKind
    )  # fmt: skip
    head = Head("node-" * 20, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "python3", 4194304)
    found = Ladder("c12345", headline("word " * 60), head, head, rows, (Request("note " * 60),))
    for ascii_only in (False, True):
        lines = picture(found, width, ascii_only=ascii_only).splitlines()
        assert max(map(cell_len, lines)) <= width


def test_text_from_nodes_is_harmless() -> None:
    evil = "/\x1b[31m\n\u202e\x9b[bold]"
    rows = (
        Row(1, 1, RowKind.REQUEST, (Request(f"GET {evil}"),), sender=Side.CLIENT),
        Row(1, 1, RowKind.ERROR, (Request(evil),), notes=(Request(evil),)),
    )
    found = Ladder("c1", headline(evil), Head(evil, evil, evil), Head("server", "a:1"), rows, (Request(evil),))
    for ascii_only in (False, True):
        for line in draw(found, 80, ascii_only=ascii_only):
            assert line.plain.isprintable(), line.plain
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(*draw(found, 80), sep="\n", soft_wrap=True)
    assert "\x1b" not in out.getvalue()
    assert "[bold]" in out.getvalue()


def test_box_characters_only_where_the_encoding_has_them() -> None:
    assert can_draw("utf-8")
    assert not can_draw("ascii")
    assert not can_draw("iso-8859-1")
    assert not can_draw("no such encoding")


def test_times_are_no_more_exact_than_they_are_known() -> None:
    assert time_between(5.3031, 5.3031) == "5.303"
    assert time_between(5.29, 5.305) == "~5.30"
    assert time_between(5.27, 5.32) == "5.27-5.32"
    assert time_between(5.2749, 5.3151) == "5.27-5.32", "rounded outwards"
    assert time_between(105.27, 105.32) == "105.2-105.4"
    assert time_between(float("-inf"), 5.27) == "by 5.27"
    for after, before in ((1e5 + 0.27, 1e5 + 3.2), (12345678.25, 12345678.5), (1e12, 1e12), (-1.5, 1e9)):
        assert len(time_between(after, before)) <= TIME_WIDTH


def test_durations() -> None:
    assert [duration(t) for t in (0.00012, 0.0034, 0.0099999, 0.34, 5.04, 60.31, 924.4)] == [
        "120 us", "3.4 ms", "10 ms", "340 ms", "5.0 s", "60.3 s", "924 s",
    ]  # fmt: skip
    assert duration(4.95, 5.05) == "5.0 s"
    assert duration(4.8, 5.2) == "~5.0 s"
    assert duration(3.1, 5.2) == "3.1-5.2 s"
    assert duration(0.010, 0.060) == "~35 ms"
    assert duration(2.0, float("inf")) == "more than 2.0 s"


def test_short_counts_fit_beside_a_line() -> None:
    assert [short_count(n) for n in (0, 9999, 10_000, 999_499, 999_500, 6_291_456, 9_950_000)] == [
        "0", "9999", "10k", "999k", "1.0M", "6.3M", "10M",
    ]  # fmt: skip
