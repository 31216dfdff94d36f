"""The recorder leaves out what is nobody's in the lab, and no inference is another for it."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.kernelevents import understood
from orchestrator.observe.trace import decode
from orchestrator.recording.events import Event
from orchestrator.tcp.states import TcpState as S

NODES = {"198.18.0.2": "client", "198.18.0.3": "server"}
CLIENT, SERVER, ANY = "198.18.0.2:41000", "198.18.0.3:8080", "0.0.0.0:8080"

_CHANGES = st.sampled_from([
    (S.CLOSED, S.SYN_SENT), (S.SYN_SENT, S.ESTABLISHED), (S.FIN_WAIT2, S.CLOSED), (S.CLOSING, S.CLOSED),
    (S.LISTEN, S.SYN_RECV), (S.LAST_ACK, S.CLOSED),
]).map(lambda change: {"old": change[0].value, "new": change[1].value})  # fmt: skip


@st.composite
def reported(draw: st.DrawFn) -> Event:
    """What the decoder has of one event of a CPU before it leaves anything out."""
    a, change = {"a": draw(st.integers(1, 4))}, draw(_CHANGES)
    local, peer = draw(st.sampled_from([(CLIENT, SERVER), (SERVER, CLIENT)]))
    ends = a | {"local": local, "peer": peer}
    return draw(st.sampled_from([
        {"ev": "timer", "timer": draw(st.integers(0xF0, 0xF3)), "what": draw(st.sampled_from(["start", "expire"]))},
        {"ev": "other"} | draw(st.sampled_from([{}, change])),
        {"ev": "state"} | ends | change,
        {"ev": "state"} | a | {"local": ANY, "peer": "0.0.0.0:0", "old": S.LISTEN.value, "new": S.SYN_RECV.value},
        {"ev": "destroy", "sk": "1"} | ends,
        {"ev": "rst"} | a | {"local": ANY, "peer": "0.0.0.0:0", "reason": "NO_SOCKET"},
    ]))  # fmt: skip


CLOSE = {"old": S.FIN_WAIT2.value, "new": S.CLOSED.value}
_TIMERS = st.sampled_from([0xF0, 0xF1])


@st.composite
def episode(draw: st.DrawFn) -> list[Event]:
    """Some events that come at once upon each other: any, or those that make or take a minisocket."""
    own = {"ev": "state", "a": draw(st.integers(1, 2)), "local": CLIENT, "peer": SERVER} | CLOSE
    start = {"ev": "timer", "timer": draw(_TIMERS), "what": "start"}
    return draw(st.sampled_from([
        [start, own],
        [start, {"ev": "other"} | CLOSE],
        [start, start | {"timer": draw(_TIMERS)}, own],
        [start | {"what": "expire"}],
        [start],
        draw(st.lists(reported(), min_size=1, max_size=3)),
    ]))  # fmt: skip


@st.composite
def cpus(draw: st.DrawFn) -> list[list[Event]]:
    """Of two CPUs, in order of time each."""
    found = []
    for cpu in range(2):
        events: list[Event] = []
        for number, several in enumerate(draw(st.lists(episode(), max_size=6))):
            begun = 0.1 * number + 0.01 * cpu
            events += [{"t": round(begun + 3e-6 * n, 9), "cpu": cpu} | event for n, event in enumerate(several)]
        found.append(
            [event for number, event in enumerate(events) if event["ev"] != "other" or _started(events, number)]
        )
    return found


def _started(events: list[Event], number: int) -> bool:
    """Whether a timer was started just before: only there is what is nobody's in the lab reported at all."""
    return number > 0 and events[number - 1].get("what") == "start"


@given(cpus())
def test_nothing_that_is_left_out_would_have_changed_an_inference(by_cpu: list[list[Event]]) -> None:
    timers = {address: number for number, address in enumerate(decode.timers_of(by_cpu))}
    known = {event["a"] for events in by_cpu for event in events if decode.of_the_lab(event)}
    kept = [event for events in by_cpu for event in decode.kept(events, timers, known)]
    every = [event for events in by_cpu for event in events]
    assert len(kept) <= len(every)
    assert understood(kept, NODES.get) == understood(every, NODES.get)


RESET = 'name: tcp_send_reset\nID: 1\nformat:\nprint fmt: "%s", __print_symbolic(REC->reason, { 0, "NONE" })\n'
RETRANSMIT = """\
name: tcp_retransmit_skb
ID: 2
format:
	field:const void * skaddr;	offset:16;	size:8;	signed:0;
	field:int state;	offset:24;	size:4;	signed:1;
	field:__u16 sport;	offset:28;	size:2;	signed:0;
	field:__u16 dport;	offset:30;	size:2;	signed:0;
	field:__u8 saddr[4];	offset:34;	size:4;	signed:0;
	field:__u8 daddr[4];	offset:38;	size:4;	signed:0;
{more}
print fmt: ""
"""
EBUSY = 16


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        ("", 0, True),
        ("	field:int err;	offset:76;	size:4;	signed:1;", 0, True),
        ("	field:int err;	offset:76;	size:4;	signed:1;", -EBUSY, False),
    ],
)
def test_a_retransmission_that_failed_is_none(more: str, error: int, told: bool) -> None:
    """Linux 6.16 tells of it too: nothing is on the wire, and RetransSegs does not count it."""
    payload = bytearray(80)
    struct.pack_into("=H", payload, 0, 2)
    struct.pack_into("=QiHH", payload, 16, 0xFFFF, 1, 8080, 41000)
    payload[34:42] = socket.inet_aton("198.18.0.3") + socket.inet_aton("198.18.0.2")
    struct.pack_into("=i", payload, 76, error)
    formats = {"tcp/tcp_send_reset": RESET, "tcp/tcp_retransmit_skb": RETRANSMIT.format(more=more)}
    page = struct.pack("=QQI", 0, 4 + len(payload), len(payload) // 4) + payload
    events = decode.Decoder(formats, NODES).decode([[bytes(page)]], 0)
    assert [event["ev"] for event in events] == ["retransmit"] * told
