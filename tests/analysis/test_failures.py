"""Why requests through a proxy failed: which connection behind it is named, and which never is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.failures import Failure, failures
from orchestrator.analysis.nexthop import CauseKind
from orchestrator.analysis.timers import fitting, timers_of
from orchestrator.history.build import build_history
from orchestrator.history.model import History, Side
from orchestrator.recording.events import Event
from orchestrator.report.words.failures import sentences
from tests.support.builders import HOSTS, events

HOPS = """
    ticks 0 0.5 1 1.5 2 2.5 3 3.5 4
    client:41000 > proxy:8080   | E E E E E E E E E
    proxy:8080 > client:41000   | E E E E E E E E E
    proxy:8080                  | L L L L L L L L L
    app-1:80                    | L L L L L L L L L
"""
CLOSED_IDLE = """
    proxy:50001 > app-1:80      | E E E E E CW - - -
    app-1:80 > proxy:50001      | E E E E E F2 - - -
"""
"""Its server closes it between 2.0 and 2.5."""
STILL_OPEN = """
    proxy:50002 > app-1:80      | E E E E E E E E E
    app-1:80 > proxy:50002      | E E E E E E E E E
"""


def asked(t: float, took: float, status: int | None = 502, port: int = 41000, **more: Any) -> Event:
    event: Event = {
        "t": t, "ev": "request", "node": "client", "step": "load", "method": "GET", "url": "http://proxy:8080/a",
        "t0": round(t - took, 6), "status": status, "local": f"{HOSTS['client']}:{port}",
        "peer": f"{HOSTS['proxy']}:8080",
    }  # fmt: skip
    return event | more


def said(t: float, after: float, says: str, client: str = f"{HOSTS['client']}:41000", **more: str) -> Event:
    return {"t": t, "ev": "log", "node": "proxy", "after": after, "says": says, "client": client, **more}


def run(text: str, *more: Event, timers: dict[str, dict[str, float]] | None = None) -> History:
    lines = events(HOPS + text, *more)
    for node in lines[0]["nodes"]:
        node["timers"] = (timers or {}).get(node["name"])
    return build_history(lines)


def only(history: History) -> Failure:
    (found,) = failures(history)
    return found


def test_the_connection_that_was_closed_while_the_request_was_under_way() -> None:
    found = only(run(CLOSED_IDLE + STILL_OPEN, asked(2.6, 0.5)))
    assert [(cause.connection, cause.kind, cause.by) for cause in found.causes] == [(2, CauseKind.CLOSED, "app-1")]
    assert (found.proxy, found.connection, found.result, found.sure) == ("proxy", 1, "502", True)
    assert sentences([found]) == ["502: proxy -> app-1 c2 was closed by app-1"]


@pytest.mark.parametrize(
    "request_",
    [asked(2.6, 0.5, 200), asked(2.6, 0.5, 404), asked(1.0, 0.5), asked(3.9, 0.5), asked(2.6, 0.5, port=41009)],
    ids=["answered", "refused by the server's program", "before", "after", "another connection"],
)
def test_nothing_is_said_of_a_request_that_it_did_not_fail(request_: Event) -> None:
    assert failures(run(CLOSED_IDLE, request_)) == []


def test_where_others_were_under_way_it_is_perhaps() -> None:
    history = run(CLOSED_IDLE, asked(2.6, 0.5), asked(2.7, 0.3, 200))
    assert not only(history).sure
    assert sentences(failures(history)) == ["502: perhaps proxy -> app-1 c2 was closed by app-1"]


def test_an_error_is_a_failure_too() -> None:
    error = {"name": "RemoteDisconnected", "text": ""}
    assert only(run(CLOSED_IDLE, asked(2.6, 0.5, None, error=error))).result == "RemoteDisconnected"


def test_alike_failures_are_told_together() -> None:
    history = run(
        CLOSED_IDLE + "proxy:50003 > app-1:80 | E E E E E E E CW -\napp-1:80 > proxy:50003 | E E E E E E E F2 -",
        asked(2.6, 0.5), asked(3.6, 0.5),
    )  # fmt: skip
    assert sentences(failures(history)) == ["2 x 502: proxy -> app-1 c2, c3 were closed by app-1"]


# -- logs ----------------------------------------------------------------------------------------------------------


def test_each_line_is_of_one_request() -> None:
    history = run(
        "", asked(1.0, 0.1), asked(2.0, 0.1), asked(3.0, 0.1),
        said(2.5, 0.5, "first"), said(2.5, 0.5, "second"), said(3.5, 2.5, "third"),
    )  # fmt: skip
    assert [found.says for found in failures(history)] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "line",
    [
        said(2.5, 0.5, "x", client="198.18.0.99:41000"),
        said(2.5, 0.5, "x", client=f"{HOSTS['client']}:41001"),
        said(2.5, 0.5, "x", request="GET /b HTTP/1.1"),
        said(2.5, 0.5, "x", status="503"),
        said(0.4, 0.0, "x"),
        said(3.9, 3.5, "x"),
        said(2.5, 0.5, "x") | {"node": "server"},
    ],
    ids=["another client", "another port", "another path", "another status", "before", "after", "another node"],
)
def test_a_line_of_another_request_is_not_taken(line: Event) -> None:
    assert failures(run("", asked(1.0, 0.1), line)) == []


def test_a_line_without_a_port_and_one_with_all_of_it() -> None:
    whole = said(2.5, 0.5, "x", client=HOSTS["client"], request="GET /a HTTP/1.1", status="502", code="SC")
    assert only(run("", asked(1.0, 0.1), whole)).says == "SC: x"


@given(st.text(min_size=1, max_size=400))
def test_what_a_log_says_steers_no_terminal(text: str) -> None:
    (told,) = sentences([only(run("", asked(1.0, 0.1), said(2.5, 0.5, text)))])
    assert told.isprintable()
    assert len(told) < 2_400


# -- timers --------------------------------------------------------------------------------------------------------

TIMERS = {"app-1": {"KEEPALIVE_TIMEOUT": 2.0, "GRACEFUL_TIMEOUT": 2.0}, "proxy": {"UPSTREAM_TIMEOUT": 3.0}}


@pytest.mark.parametrize(
    ("node", "side", "least", "most", "unanswered", "knob"),
    [
        ("app-1", Side.SERVER, 1.99, 2.05, False, "KEEPALIVE_TIMEOUT"),
        ("app-1", Side.SERVER, 2.9, 2.95, False, "KEEPALIVE_TIMEOUT"),  # one that looks once a second
        ("app-1", Side.SERVER, 1.0, 1.9, False, None),  # timers are not early
        ("app-1", Side.SERVER, 4.0, 4.1, False, None),
        ("app-1", Side.SERVER, 2.0, 2.05, True, None),  # it was at work
        ("proxy", Side.CLIENT, 3.0, 3.05, True, "UPSTREAM_TIMEOUT"),
        ("proxy", Side.CLIENT, 3.0, 3.05, False, None),
        ("client", Side.CLIENT, 3.0, 3.05, False, None),
        (None, Side.CLIENT, 3.0, 3.05, False, None),
    ],
)
def test_which_timer_fits(
    node: str | None, side: Side, least: float, most: float, unanswered: bool, knob: str | None
) -> None:
    timers = timers_of(run("", timers=TIMERS))
    found = fitting(timers, node, side, least, most, unanswered=unanswered)
    assert (found and found.knob) == knob


def test_a_timer_that_a_step_changed_and_one_that_is_no_time() -> None:
    detail: dict[str, object] = {"KEEPALIVE_TIMEOUT": "5s", "pid": 7, "UNKNOWN": "3s"}
    changed: Event = {"t": 1.0, "ev": "node", "node": "app-1", "what": "reloaded", "detail": detail}
    timers = timers_of(run("", changed, timers=TIMERS))
    assert timers["app-1"] == {"KEEPALIVE_TIMEOUT": (2.0, 5.0), "GRACEFUL_TIMEOUT": (2.0,)}
    detail["KEEPALIVE_TIMEOUT"] = "soon"
    assert timers_of(run("", changed, timers=TIMERS))["app-1"]["KEEPALIVE_TIMEOUT"] == (2.0,)


def test_old_recordings_have_no_timers() -> None:
    assert timers_of(run("")) == {}
