"""RSTs of which the kernel does not say everything: their receivers and the wire do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.history.resets import complete_resets
from orchestrator.recording.events import Event
from tests.support.builders import HOSTS

CLIENT, SERVER = f"{HOSTS['client']}:41000", f"{HOSTS['server']}:8080"
ENDS = {"client": (CLIENT, SERVER), "server": (SERVER, CLIENT)}


def line(t: float, ev: str, node: str, a: int = 0, **more: object) -> Event:
    local, peer = ENDS[node]
    return {"t": t, "ev": ev, "node": node, "a": a, "local": local, "peer": peer} | more


RST = line(2.5, "rst", "server", reason="NO_SOCKET")

NODES = {host: name for name, host in HOSTS.items()}.get
RECEIVED = line(2.6, "rst_received", "client", 1)
LISTENER: Event = {
    "t": 2.5, "ev": "rst", "node": "", "a": 9, "local": "0.0.0.0:8080", "peer": "0.0.0.0:0", "reason": "TCP_FLAGS",
}  # fmt: skip


def resets(*trace: Event, segments: Sequence[Event] = ()) -> list[Event]:
    return [event for event in complete_resets(trace, NODES, segments=segments) if event["ev"] == "rst"]


def test_a_listeners_reset_is_told_by_who_received_it() -> None:
    assert resets(LISTENER, RECEIVED) == [RST | {"reason": "TCP_FLAGS"}]
    assert resets(LISTENER | {"t": 0.1}, LISTENER, RECEIVED) == [RST | {"reason": "TCP_FLAGS"}], "not a stranger's"


def test_a_reset_without_an_event_is_told_by_who_received_it() -> None:
    assert resets(RECEIVED) == [RST | {"t": 2.6, "reason": ""}]


def test_a_reset_with_an_event_is_told_once() -> None:
    assert resets(RST, RECEIVED) == [RST]
    assert resets(RECEIVED, late := RST | {"t": 2.604}) == [late], "told when it is sent, received before that"
    assert resets(RST, RECEIVED, RECEIVED | {"t": 2.7}) == [RST, RST | {"t": 2.7, "reason": ""}]


@pytest.mark.parametrize(
    "other",
    [
        LISTENER | {"t": -4.0},
        LISTENER | {"local": "0.0.0.0:9090"},
        RECEIVED | {"peer": "10.0.0.1:8080"},
    ],
)
def test_what_belongs_to_others_is_left_out(other: Event) -> None:
    assert [reset["reason"] for reset in resets(other, RECEIVED)] == [""]


def test_a_listeners_reset_that_nobody_received_is_left_out() -> None:
    assert resets(LISTENER) == []


ON_WIRE: Event = {
    "t": 2.5001, "ev": "segment", "node": "server", "local": RST["local"], "peer": RST["peer"], "flags": "R", "seq": 9,
    "ack": 0, "len": 0,
}  # fmt: skip


def test_the_wire_tells_whose_a_listeners_reset_was_that_nobody_received() -> None:
    found = resets(LISTENER, segments=[ON_WIRE])
    assert [(one["node"], one["local"], one["peer"], one["reason"]) for one in found] == [
        ("server", RST["local"], RST["peer"], "TCP_FLAGS")
    ]


def test_a_segment_stands_for_one_reset_and_only_for_what_was_sent_then() -> None:
    assert len(resets(LISTENER, RECEIVED, segments=[ON_WIRE])) == 1, "received, and on the wire"
    twice = [ON_WIRE, ON_WIRE | {"t": 2.7}]
    assert len(resets(LISTENER, RECEIVED, LISTENER | {"t": 2.7}, segments=twice)) == 2, "the second one met nobody"
    for other in (LISTENER | {"t": 1.0}, LISTENER | {"local": "0.0.0.0:9090"}):
        assert [one["reason"] for one in resets(other, segments=[ON_WIRE])] == [""], "another one's"
    assert resets(LISTENER, segments=[ON_WIRE | {"flags": "F."}]) == []


def test_the_wire_tells_of_a_reset_that_has_no_event_and_that_nobody_received() -> None:
    """Before Linux 6.10: data and a FIN for a connection that is gone are two segments, and each is answered."""
    twice = [ON_WIRE | {"t": 2.6}, ON_WIRE | {"t": 2.7}]
    assert [(one["node"], one["t"]) for one in resets(RECEIVED, segments=twice)] == [("server", 2.6), ("server", 2.7)]
    assert resets(segments=[ON_WIRE | {"node": "proxy"}]) == [], "passed on, or sent in the name of the server"


def test_an_address_pair_that_is_used_again_has_its_resets_each_with_its_own_segment() -> None:
    """The first has no event of its own, and its receiver shows it; the second comes from the same port 4 s later."""
    first = line(0.316, "rst_received", "client", 1)
    second = RST | {"t": 4.31979, "a": 4}
    segments = [ON_WIRE | {"t": 0.31599}, ON_WIRE | {"t": 4.31978}]
    assert [round(one["t"], 3) for one in resets(first, second, segments=segments)] == [0.316, 4.32]
