"""Connections through NATs in the kernel's trace: who sent a RST, and what is told of a NAT that forgot."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.analysis.exchanges import reports_of_each
from orchestrator.analysis.ladder.build import ladder
from orchestrator.analysis.ladder.model import Row, RowKind
from orchestrator.history.build import build_history
from orchestrator.history.model import History, MinisocketEnd
from orchestrator.history.nat import Translations, flows_of
from orchestrator.history.resets import complete_resets
from orchestrator.recording.events import Event
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import said
from orchestrator.report.words.summaries import sentences
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import HOSTS, events, fact, history
from tests.support.nats import CLIENT, NAT, OPEN, PAIR, SERVER, flow, through_nat

ENDS = {"client": (f"{CLIENT}:41000", f"{NAT}:8080"), "server": (f"{SERVER}:8080", f"{NAT}:41000")}
COUNTS = "count client ActiveOpens 0 1 1 1 1\ncount server PassiveOpens 0 1 1 1 1\n"


def line(t: float, ev: str, node: str, a: int = 0, **more: object) -> Event:
    local, peer = ENDS[node]
    return {"t": t, "ev": ev, "node": node, "a": a, "local": local, "peer": peer} | more


def states(node: str, a: int, *path: tuple[float, S]) -> list[Event]:
    old, found = S.CLOSED if node == "client" else S.LISTEN, []
    for t, new in path:
        found.append(line(t, "state", node, a, old=old, new=new))
        old = new
    return found


OPENED = [
    *states("client", 1, (0.5, S.SYN_SENT), (0.502, S.ESTABLISHED)),
    *states("server", 2, (0.501, S.SYN_RECV), (0.503, S.ESTABLISHED)),
]
CLOSED_BY_CLIENT = [
    line(1.5, "state", "client", 1, old=S.ESTABLISHED, new=S.FIN_WAIT1),
    line(1.501, "state", "server", 2, old=S.ESTABLISHED, new=S.CLOSE_WAIT),
    line(1.502, "state", "client", 1, old=S.FIN_WAIT1, new=S.FIN_WAIT2),
    line(1.503, "minisocket", "client", 1, what="born", old=S.FIN_WAIT2),
    line(1.504, "state", "client", 1, old=S.FIN_WAIT2, new=S.CLOSED),
    line(1.7, "state", "server", 2, old=S.CLOSE_WAIT, new=S.LAST_ACK),
    line(1.701, "state", "server", 2, old=S.LAST_ACK, new=S.CLOSED),
]


def traced(table: str, *trace: Event) -> History:
    lost = {"t": 0.0, "ev": "traced", "lost": 0, "counts": {}}
    run = build_history(events(table, *sorted(trace, key=lambda event: float(event["t"])), lost))
    assert run.exact, run.notes
    return run


def test_time_wait_begins_with_the_fin_of_an_end_that_has_other_addresses() -> None:
    run = traced(f"ticks 0 1 2 3 4\n{COUNTS}count client TW 0 0 1 1 1", flow(1, after=0), *OPENED, *CLOSED_BY_CLIENT)
    (connection,) = run.connections
    assert connection.client is not None
    assert [interval.state for interval in connection.client.intervals][-2:] == [S.FIN_WAIT2, S.TIME_WAIT]
    assert connection.closing.first_closer == "client"
    (story,) = sentences(run)[:1]
    assert story.startswith("1 connection client -> server:8080 through proxy: client closed first (FIN)")


def test_a_rst_from_the_other_side_of_a_nat_ends_a_minisocket() -> None:
    rst = line(2.5, "rst", "server", reason="NO_SOCKET")
    table = f"ticks 0 1 2 3 4\n{COUNTS}count client TW 0 0 1 1 1\ncount server OutRsts 0 0 0 1 1"
    (connection,) = traced(table, flow(1, after=0), *OPENED, *CLOSED_BY_CLIENT, rst).connections
    assert connection.client is not None
    assert connection.client.ended_by is MinisocketEnd.RESET


# -- who sent a RST ----------------------------------------------------------------------------------------------


def node_of(address: str) -> str | None:
    return {host: node for node, host in HOSTS.items()}.get(address)


RECEIVED = line(2.0, "rst_received", "client", 1, sk="1")


def sent(*given: Event, translations: Translations, segments: Sequence[Event] = ()) -> list[Event]:
    return [event for event in complete_resets(given, node_of, translations, segments) if event["ev"] == "rst"]


def test_a_rst_that_came_through_is_the_one_that_the_server_sent() -> None:
    rst = line(1.999, "rst", "server", 2, reason="TCP_STATE")
    assert sent(rst, RECEIVED, translations=Translations(flows_of([flow(1)]))) == [rst]


def test_one_without_an_event_is_the_server_s_as_long_as_the_nat_knew_the_connection() -> None:
    (rst,) = sent(RECEIVED, translations=Translations(flows_of([flow(1)])))
    assert (rst["node"], rst["local"], rst["peer"]) == ("server", *ENDS["server"])


def test_later_it_is_the_nat_s_own() -> None:
    (rst,) = sent(RECEIVED, translations=Translations(flows_of([flow(1), flow(2.1, what="gone", after=1.9)])))
    assert (rst["node"], rst["local"], rst["peer"]) == ("proxy", f"{NAT}:8080", f"{CLIENT}:41000")
    assert "rule" not in rst


@pytest.mark.parametrize(("end", "sender"), [("server", "server"), ("proxy", "proxy")])
def test_where_the_entry_ended_around_then_the_wire_says_who_sent_it(end: str, sender: str) -> None:
    """The NAT's table is read now and then: between two readings, the RST itself may have ended the entry."""
    pair = ENDS["server"] if end == "server" else (f"{NAT}:8080", f"{CLIENT}:41000")
    segment = {"t": 1.999, "ev": "segment", "node": end, "local": pair[0], "peer": pair[1], "flags": "R."}
    translations = Translations(flows_of([flow(1), flow(2.1, what="gone", after=1.9)]))
    (rst,) = sent(RECEIVED, translations=translations, segments=[segment])
    assert (rst["node"], rst["local"], rst["peer"]) == (sender, *pair)


def test_a_reset_that_a_nat_passed_on_is_not_its_own_and_one_that_it_answers_with_is() -> None:
    segments: list[Event] = [
        {"t": 2.5, "ev": "segment", "node": node, "local": local, "peer": peer, "flags": "R"}
        for node, (local, peer) in (("server", ENDS["server"]), ("proxy", (f"{NAT}:8080", f"{CLIENT}:41000")))
    ]
    known = flow(1)
    assert [rst["node"] for rst in sent(translations=Translations(flows_of([known])), segments=segments)] == ["server"]
    forgotten = Translations(flows_of([known, flow(2.1, what="gone", after=1.9)]))
    assert [rst["node"] for rst in sent(translations=forgotten, segments=segments[1:])] == ["proxy"]


def test_a_listener_s_reset_is_its_own_node_s_though_a_nat_passed_another_one_on_just_before() -> None:
    """A TIME_WAIT answers data and ends, the next data meet the listening socket, whose event has no names."""
    local, peer = ENDS["server"]
    own = {"ev": "rst", "a": 5, "node": "server", "local": local, "peer": peer, "reason": "TCP_TIMEWAIT_SOCKET"}
    nameless = {"ev": "rst", "a": 6, "node": "", "local": "0.0.0.0:8080", "peer": "0.0.0.0:0", "reason": "TCP_FLAGS"}
    segments: list[Event] = [
        {"t": t + later, "ev": "segment", "node": node, "local": local, "peer": peer, "flags": "R"}
        for t in (2.5, 2.5001)
        for node, (local, peer), later in (
            ("server", ENDS["server"], 0.00001),
            ("proxy", (f"{NAT}:8080", f"{CLIENT}:41000"), 0.00002),
        )
    ]
    resets = ({"t": 2.5} | own, {"t": 2.5001} | nameless)
    found = sent(*resets, translations=Translations(flows_of([flow(1)])), segments=segments)
    assert [(rst["t"], rst["node"], rst["reason"]) for rst in found] == [
        (2.5, "server", "TCP_TIMEWAIT_SOCKET"),
        (2.5001, "server", "TCP_FLAGS"),
    ]


def test_a_router_sends_it_in_the_name_of_the_server() -> None:
    """The client calls the server itself; of a RST that the router's rules send no counter tells."""
    known = [flow(1, destination=f"{SERVER}:8080"), flow(2.1, what="gone", after=1.9, destination=f"{SERVER}:8080")]
    received = RECEIVED | {"peer": f"{SERVER}:8080"}
    (rst,) = sent(received, translations=Translations(flows_of(known)))
    assert (rst["node"], rst["local"], rst["rule"]) == ("proxy", f"{SERVER}:8080", True)
    table = f"ticks 0 1 2 3 4\n{COUNTS}"
    (connection,) = traced(
        table, *known, *(e | {"peer": f"{SERVER}:8080"} if e["node"] == "client" else e for e in OPENED), rst,
        line(2.0, "state", "client", 1, old=S.ESTABLISHED, new=S.CLOSED) | {"peer": f"{SERVER}:8080"},
    ).connections  # fmt: skip
    assert (connection.closing.first_closer, connection.closing.kind) == ("proxy", "rst")
    assert connection.closing.side == "server", "in the name of the server's end"


# -- what is told of a NAT that forgot ---------------------------------------------------------------------------

FORGOTTEN = [flow(1, after=0), flow(2.1, what="gone", after=2.0)]
RESET = [
    {"t": 2.5, "ev": "rst", "node": "proxy", "a": 0, "local": f"{NAT}:8080", "peer": f"{CLIENT}:41000"},
    line(2.5, "state", "client", 1, old=S.ESTABLISHED, new=S.CLOSED),
]
AFTER_RESET = f"ticks 0 1 2 3 4\n{COUNTS}count proxy OutRsts 0 0 0 1 1"


def rows_of(run: History) -> tuple[str, list[Row]]:
    shown = ladder("c1", run.connections[0], run, reports_of_each(run)[0])
    return headline(shown.headline), list(shown.rows)


def test_the_rst_of_the_nat_is_told_as_that() -> None:
    lost = through_nat(2.502, t0=2.499, error={"name": "ConnectionResetError", "text": ""}, status=None)
    run = traced(AFTER_RESET, *FORGOTTEN, *OPENED, *RESET, lost)
    assert "proxy had forgotten it; proxy closed first (RST)" in sentences(run)[0]
    told, rows = rows_of(run)
    assert told.startswith("through proxy, which forgot it: proxy reset the connection with a RST")
    (rst,) = [row for row in rows if said(row) == "RST"]
    assert (rst.by, rst.lost, rst.server.state) == ("proxy", False, S.ESTABLISHED)
    (asked,) = [row for row in rows if row.kind is RowKind.UNSERVED]
    assert asked.lost, "the NAT kept it"
    assert [said(row) for row in rows if row.kind is RowKind.NODE] == ["proxy has forgotten the connection"]
    assert fact(run, "{over: start .. end, proxy: {resets: 1}}").outcome == "pass"
    assert fact(run, "{over: start .. end, proxy: {first_fin: 1}}").outcome == "pass"
    assert fact(run, "{over: start .. end, server: {first_fin: 0}}").outcome == "pass"
    assert fact(run, "{over: start .. end, proxy: {connections: 0}}").outcome == "pass"


def test_without_a_trace_the_nat_is_named_because_it_had_forgotten() -> None:
    lost = through_nat(2.502, t0=2.2, error={"name": "ConnectionResetError", "text": ""}, status=None)
    run = history(PAIR.format("- E E - -", "- E E E E"), *FORGOTTEN, lost)
    _, rows = rows_of(run)
    assert [row.by for row in rows if said(row) == "RST"] == ["proxy"]


def test_a_connection_that_was_closed_before_was_not_forgotten() -> None:
    gone = flow(3.5, what="gone", after=3.0)
    run = traced(f"ticks 0 1 2 3 4\n{COUNTS}count client TW 0 0 1 1 1", FORGOTTEN[0], gone, *OPENED, *CLOSED_BY_CLIENT)
    assert "forgot" not in sentences(run)[0]
    assert "forgot" not in rows_of(run)[0]


def test_no_counter_tells_of_the_rsts_of_a_router() -> None:
    direct = "client:41000 > server:8080 #c | - E E E\nserver:8080 > proxy:41000 #s | - E E E\n"
    run = history(direct, flow(1, destination=f"{SERVER}:8080"))
    assert len(run.connections) == 1
    assert fact(run, "{over: start .. end, proxy: {resets: 0}}").outcome == "unknown"
    assert fact(history(OPEN, flow(1)), "{over: start .. end, proxy: {resets: 0}}").outcome == "pass"
