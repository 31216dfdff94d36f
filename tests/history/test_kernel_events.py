"""What the kernel's trace means: the recorder writes what the kernel reported, and history building decides.

The twin: tests/data/traces has what the ring of the kernel held in three runs, and tests/data/format1 what an older
simctl, which decided while it recorded, wrote of the same runs.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.build import build_history
from orchestrator.history.kernelevents import KINDS, understood
from orchestrator.observe.trace.decode import Decoder
from orchestrator.recording.events import FORMAT, Event
from orchestrator.recording.lines import LINES
from orchestrator.recording.reader import read_events
from orchestrator.recording.schema import validator
from orchestrator.system import resources
from orchestrator.tcp.states import TcpState as S

DATA = resources.ROOT / "tests" / "data"
RUNS = ("session-close", "idle-close", "nat-resets")
NODES = {"198.18.0.2": "client", "198.18.0.3": "server"}
CLIENT, SERVER = "198.18.0.2:41000", "198.18.0.3:8080"


def decoded(run: str) -> list[Event]:
    """What is recorded today of the events that the kernel reported then."""
    ring: dict[str, Any] = json.loads(gzip.decompress((DATA / "traces" / f"{run}.json.gz").read_bytes()))
    pages = [[base64.b64decode(page) for page in cpu] for cpu in ring["pages"]]
    return Decoder(ring["formats"], ring["addresses"]).decode(pages, ring["zero"])


@pytest.mark.parametrize("run", RUNS)
def test_the_history_is_the_one_that_a_deciding_recorder_gave(run: str) -> None:
    then = list(read_events(DATA / "format1" / run / "events.jsonl"))
    now = [line for line in then if line["ev"] not in KINDS] + decoded(run)
    now[0] = now[0] | {"format": FORMAT}
    old, new = build_history(then), build_history(now)
    assert new.exact
    for field in fields(old):
        if field.name != "begin":
            assert getattr(new, field.name) == getattr(old, field.name), field.name


@pytest.mark.parametrize("run", RUNS)
def test_a_recorder_decides_nothing(run: str) -> None:
    lines = decoded(run)
    assert lines
    for line in lines:
        validator(LINES[line["ev"]]).validate_python(line, strict=True)
        assert "node" not in line
        assert set(line) <= set(LINES[line["ev"]].__annotations__)


# -- minisockets -------------------------------------------------------------------------------------------------------


def ends(ev: str, t: float, cpu: int, a: int, **more: object) -> Event:
    return {"t": t, "ev": ev, "cpu": cpu, "a": a, "local": CLIENT, "peer": SERVER} | more


def timer(t: float, cpu: int, what: str, number: int = 0) -> Event:
    return {"t": t, "ev": "timer", "cpu": cpu, "timer": number, "what": what}


BORN = ends("state", 0.1, 0, 1, old=S.CLOSED, new=S.SYN_SENT)
START, CLOSED = timer(1.0, 0, "start"), ends("state", 1.000_003, 0, 1, old=S.FIN_WAIT2, new=S.CLOSED)


def minisockets(*lines: Event) -> list[tuple[str, float]]:
    found = understood(lines, NODES.get)
    return [(event["what"], event["t"]) for event in found if event["ev"] == "minisocket"]


def test_a_timer_that_starts_before_its_socket_is_closed_is_a_birth() -> None:
    (event,) = [event for event in understood([BORN, START, CLOSED], NODES.get) if event["ev"] == "minisocket"]
    assert event == {"t": 1.0, "ev": "minisocket", "what": "born", "node": "client", "a": 1, "local": CLIENT,
                     "peer": SERVER, "old": S.FIN_WAIT2}  # fmt: skip


def test_what_another_cpu_reports_meanwhile_does_not_count() -> None:
    other = ends("retransmit", 1.000_001, 1, 7, state=S.ESTABLISHED)
    assert minisockets(BORN, START, other, CLOSED) == [("born", 1.0)]


@given(st.floats(1e-9, 0.9))
def test_a_cpu_that_is_taken_away_meanwhile_hides_no_birth(pause: float) -> None:
    assert minisockets(BORN, START, CLOSED | {"t": 1.0 + pause}) == [("born", 1.0)]


def test_a_minisocket_that_is_made_while_another_is_being_made() -> None:
    """In a soft interrupt of the same CPU, between the two events of the first."""
    second = [BORN | {"t": 0.2, "a": 2, "peer": "198.18.0.3:81"}, timer(1.000_001, 0, "start", 9)]
    gone = CLOSED | {"t": 1.000_002, "a": 2, "peer": "198.18.0.3:81"}
    lines = [BORN, second[0], START, second[1], gone, CLOSED, timer(61.0, 0, "expire"), timer(62.0, 0, "expire", 9)]
    found = [event for event in understood(lines, NODES.get) if event["ev"] == "minisocket"]
    assert [(event["what"], event["t"], event["a"]) for event in found] == [
        ("born", 1.0, 1),
        ("born", 1.000_001, 2),
        ("expired", 61.0, 1),
        ("expired", 62.0, 2),
    ]


def test_a_timer_that_starts_again_is_not_of_the_socket_that_ends_next() -> None:
    """The kernel makes no more minisockets than tcp_max_tw_buckets: that socket became nothing. Something else came in
    between, as a soft interrupt might."""
    other = "198.18.0.3:81"
    again, between = timer(2.0, 0, "start"), ends("destroy", 2.001, 0, 9, sk="1")
    gone = CLOSED | {"t": 2.003, "a": 2, "peer": other}
    lines = [BORN, START, CLOSED, BORN | {"t": 1.5, "a": 2, "peer": other}, again, between, gone]
    assert minisockets(*lines) == [("born", 1.0), ("rearmed", 2.0)]
    expired = timer(1.6, 0, "expire")
    assert minisockets(*lines, expired)[-1] == ("born", 2.0), "its memory is used again"


def test_a_socket_that_a_rst_ends_leaves_no_minisocket() -> None:
    came = ends("rst_received", 2.000_001, 0, 1, sk="1")
    gone = CLOSED | {"t": 2.000_002}
    assert minisockets(BORN, START | {"t": 2.0}, came, gone) == []


def test_a_socket_that_is_closed_with_unread_data_leaves_no_minisocket() -> None:
    gone, sent = CLOSED | {"t": 2.000_002}, ends("rst", 2.000_005, 0, 1, reason="")
    assert minisockets(BORN, START | {"t": 2.0}, gone, sent) == []


@pytest.mark.parametrize(
    "following",
    [
        pytest.param(CLOSED | {"old": S.LAST_ACK}, id="a socket that leaves no minisocket"),
        pytest.param(CLOSED | {"t": 3.0}, id="much later"),
        pytest.param(ends("destroy", 1.000_001, 0, 1, sk="1"), id="no change of state"),
        pytest.param({"t": 1.000_001, "ev": "other", "cpu": 0}, id="something of nobody"),
        pytest.param(timer(1.000_001, 0, "start", 5), id="another timer"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_timer_that_starts_again_is_rearmed(following: Event | None) -> None:
    later = [START | {"t": 2.0}, *([] if following is None else [following | {"t": following["t"] + 1}])]
    assert minisockets(BORN, START, CLOSED, *later) == [("born", 1.0), ("rearmed", 2.0)]


def test_a_timer_that_is_given_to_somebody_else_is_ours_no_more() -> None:
    taken = {"t": 2.000_001, "ev": "other", "cpu": 0, "old": S.FIN_WAIT2, "new": S.CLOSED}
    assert minisockets(BORN, START, CLOSED, START | {"t": 2.0}, taken, timer(3.0, 1, "expire")) == [("born", 1.0)]


def test_a_timer_that_expired_is_over() -> None:
    again = START | {"t": 3.0}
    assert minisockets(BORN, START, CLOSED, timer(2.0, 1, "expire"), again) == [("born", 1.0), ("expired", 2.0)]


# -- whatever a recording holds ----------------------------------------------------------------------------------------

_STATES = st.sampled_from([S.CLOSED.value, S.SYN_SENT.value, S.SYN_RECV.value, S.FIN_WAIT2.value, S.LISTEN.value])
_ADDRESS = st.sampled_from([CLIENT, SERVER, "0.0.0.0:8080", "0.0.0.0:0", "198.18.0.2:0", "10.0.0.1:1", ":", "x:y"])
_FIELDS = {
    "t": st.floats(0, 3), "cpu": st.integers(0, 1), "a": st.integers(0, 3), "timer": st.integers(0, 1),
    "local": _ADDRESS, "peer": _ADDRESS, "old": _STATES, "new": _STATES, "state": _STATES, "sk": st.just("1"),
    "reason": st.sampled_from(["NO_SOCKET", None]), "what": st.sampled_from(["start", "expire"]),
}  # fmt: skip


@st.composite
def trace_line(draw: st.DrawFn) -> Event:
    ev = draw(st.sampled_from([kind for kind in KINDS if kind in LINES]))
    return {name: draw(_FIELDS[name]) for name in LINES[ev].__annotations__ if name != "ev"} | {"ev": ev}


@given(st.lists(trace_line(), max_size=12))
def test_whatever_was_reported_every_event_has_a_node_and_its_time(lines: list[Event]) -> None:
    found = understood(lines, NODES.get)
    assert [event["t"] for event in found] == sorted(event["t"] for event in found)
    for event in found:
        assert event["node"] in NODES.values()
        assert event["ev"] not in ("timer", "other")
        assert "cpu" not in event
