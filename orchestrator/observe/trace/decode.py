"""From raw trace records to event lines: what the kernel reported, undecided. Only what is nobody's in the lab is left
out; what an event means is found out by whoever reads the recording (history/kernelevents.py)."""

from __future__ import annotations

import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from orchestrator.observe.sources.sockdiag import STATES
from orchestrator.observe.trace.ringbuffer import records
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import ANY
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_FIELD = re.compile(r"field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d+);")
_NAME = re.compile(r"(\w+)(?:\[\d+\])?$")
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)
_REASON = re.compile(r"\{ (\d+), \"(\w+)\" \}")

_LOOPBACK = 127

_INTERRUPTED = 0.01
"""Seconds: more than what history/minisockets.py allows between a start and an end that are not next to each other."""

_COUNTED = {
    (TcpState.CLOSED, TcpState.SYN_SENT): "connections opened",
    (TcpState.LISTEN, TcpState.SYN_RECV): "connections accepted",
    (TcpState.FIN_WAIT2, TcpState.CLOSED): "minisockets",
    (TcpState.CLOSING, TcpState.CLOSED): "minisockets",
}
"""Changes of state that kernel counters count, in the words of history/conservation.py."""

_u16, _i32, _u64 = struct.Struct("=H"), struct.Struct("=i"), struct.Struct("=Q")


@record
class Layout:
    """Where the fields of one kind of event lie: name -> offset. From its `format` file."""

    name: str
    number: int
    fields: Mapping[str, int]

    @classmethod
    def parse(cls, name: str, text: str) -> Layout:
        """Raises ValueError for a format without id."""
        number = _ID.search(text)
        if number is None:
            raise ValueError(f"the format of {name} has no ID")
        fields: dict[str, int] = {}
        for match in _FIELD.finditer(text):
            field = _NAME.search(match["declaration"])
            if field is not None:
                fields[field[1]] = int(match["offset"])
        return cls(name, int(number[1]), fields)


class Decoder:
    """Decodes the pages of all CPUs. `addresses`: those of the lab, when `decode` is called; events of other sockets
    are left out."""

    def __init__(self, formats: Mapping[str, str], addresses: Container[str]) -> None:
        layouts = [Layout.parse(name, text) for name, text in formats.items()]
        self._layouts = {layout.number: layout for layout in layouts}
        self._reasons = dict(_REASON.findall(formats["tcp/tcp_send_reset"].rpartition("REC->reason")[2]))
        self._addresses = addresses
        self._zero_ns = 0
        self.loopback: Counter[str] = Counter()
        """What sockets on 127.0.0.0/8 did, of any node and of this machine: the events do not show whose they are."""
        self._sockets: dict[int, int] = {0: 0}
        self._readers: dict[str, Callable[[Layout, memoryview], Event | None]] = {
            "sock/inet_sock_set_state": self._state,
            "tcp/tcp_destroy_sock": self._destroy,
            "tcp/tcp_send_reset": self._rst,
            "tcp/tcp_receive_reset": self._rst_received,
            "tcp/tcp_retransmit_skb": self._retransmit,
            "tcp/tcp_retransmit_synack": self._retransmit,
            "timer/timer_start": self._timer,
            "timer/timer_expire_entry": self._timer,
        }

    def decode(self, cpus: Sequence[Sequence[bytes]], zero: float) -> list[Event]:
        """All events of the lab in order of time. `cpus`: the pages of each CPU, oldest first; `zero`: seconds of the
        trace clock at which t is 0."""
        self._zero_ns = round(zero * 1e9)
        by_cpu = [list(self._one_cpu(cpu, pages)) for cpu, pages in enumerate(cpus)]
        timers = {address: number for number, address in enumerate(timers_of(by_cpu))}
        known = {event["a"] for events in by_cpu for event in events if of_the_lab(event)}
        found = [event for events in by_cpu for event in kept(events, timers, known)]
        found.sort(key=lambda event: float(event["t"]))
        return found

    def _one_cpu(self, cpu: int, pages: Sequence[bytes]) -> Iterator[Event]:
        """What may be of the lab, and whatever follows upon the start of a timer."""
        after_start = False
        for page in pages:
            for ns, payload in records(page):
                layout = self._layouts.get(_u16.unpack_from(payload)[0])
                if layout is None:
                    continue
                event = self._readers[layout.name](layout, payload)
                if event is None and after_start:
                    event = self._other(layout, payload)
                if event is not None:
                    event["t"] = round((ns - self._zero_ns) / 1e9, 9)
                    event["cpu"] = cpu
                    yield event
                after_start = layout.name == "timer/timer_start"

    # -- one reader per kind of event ------------------------------------------------------------------------------

    def _timer(self, layout: Layout, payload: memoryview) -> Event:
        what = "start" if layout.name == "timer/timer_start" else "expire"
        return {"ev": "timer", "timer": _u64.unpack_from(payload, layout.fields["timer"])[0], "what": what}

    def _other(self, layout: Layout, payload: memoryview) -> Event:
        return {"ev": "other"} | (_change(layout, payload) if layout.name == "sock/inet_sock_set_state" else {})

    def _state(self, layout: Layout, payload: memoryview) -> Event | None:
        change = _change(layout, payload)
        event = self._of_socket("state", layout, payload)
        if event is not None:
            event |= change
            return event
        at = layout.fields["saddr"]
        if change["new"] == TcpState.SYN_RECV and not any(payload[at : at + 4]):
            # Older kernels report so what a listening socket accepts: whose it is shows with its next change.
            return self._ends("state", layout, payload) | change
        if payload[at] == _LOOPBACK and (what := _COUNTED.get((TcpState(change["old"]), TcpState(change["new"])))):
            self.loopback[what] += 1
        return None

    def _destroy(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._of_socket("destroy", layout, payload)
        return event and event | {"sk": self._cookie(layout, payload)}

    def _rst_received(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._of_socket("rst_received", layout, payload)
        return event and event | {"sk": self._cookie(layout, payload)}

    def _retransmit(self, layout: Layout, payload: memoryview) -> Event | None:
        failed = layout.fields.get("err")
        if failed is not None and _i32.unpack_from(payload, failed)[0]:
            return None  # since Linux 6.16 told too where nothing was sent, as when the first copy is not out yet
        event = self._of_socket("retransmit", layout, payload)
        if event is not None:
            # A SYN+ACK is sent for a request socket, which has no state of its own.
            at = layout.fields.get("state")
            event["state"] = TcpState.SYN_RECV if at is None else STATES[_i32.unpack_from(payload, at)[0]].value
        return event

    def _rst(self, layout: Layout, payload: memoryview) -> Event | None:
        if "sport" in layout.fields:  # before Linux 6.10
            return self._of_socket("rst", layout, payload)
        local = _sockaddr(payload, layout.fields["saddr"])
        host = local.rpartition(":")[0]
        if host.startswith("127."):
            self.loopback["RST sent"] += 1
        if host not in self._addresses and host not in ANY:
            return None
        event = {
            "ev": "rst",
            "a": self._socket(layout, payload),
            "local": local,
            "peer": _sockaddr(payload, layout.fields["daddr"]),
        }
        if "reason" in layout.fields:  # since Linux 6.10
            number = str(_i32.unpack_from(payload, layout.fields["reason"])[0])
            event["reason"] = self._reasons.get(number, number)
        return event

    def _of_socket(self, ev: str, layout: Layout, payload: memoryview) -> Event | None:
        """The fields that most events share; None when the socket is not of the lab."""
        at = layout.fields["saddr"]
        if socket.inet_ntoa(payload[at : at + 4]) not in self._addresses:
            return None
        return self._ends(ev, layout, payload)

    def _ends(self, ev: str, layout: Layout, payload: memoryview) -> Event:
        at = layout.fields
        local, peer = (socket.inet_ntoa(payload[at[name] : at[name] + 4]) for name in ("saddr", "daddr"))
        return {
            "ev": ev,
            "a": self._socket(layout, payload),
            "local": f"{local}:{_u16.unpack_from(payload, at['sport'])[0]}",
            "peer": f"{peer}:{_u16.unpack_from(payload, at['dport'])[0]}",
        }

    def _socket(self, layout: Layout, payload: memoryview) -> int:
        """A small number for a kernel address: the address itself is nobody's business."""
        address = _u64.unpack_from(payload, layout.fields["skaddr"])[0]
        return self._sockets.setdefault(address, len(self._sockets))

    def _cookie(self, layout: Layout, payload: memoryview) -> str:
        return f"{_u64.unpack_from(payload, layout.fields['sock_cookie'])[0]:x}"


def _change(layout: Layout, payload: memoryview) -> Event:
    """The change of state of an inet_sock_set_state."""
    old, new = (STATES[_i32.unpack_from(payload, layout.fields[name])[0]] for name in ("oldstate", "newstate"))
    return {"old": old.value, "new": new.value}


def of_the_lab(event: Event) -> bool:
    """Whether the event says itself that it is of the lab."""
    return event["ev"] not in ("timer", "other") and event["local"].rpartition(":")[0] not in ANY


def timers_of(by_cpu: Iterable[Sequence[Event]]) -> dict[int, None]:
    """Addresses of the timers that were started just before an event of the lab on the same CPU, which may be its
    minisockets', in order. Something else may have come in between, of strangers too, by a soft interrupt."""
    found: dict[int, None] = {}
    for events in by_cpu:
        started: list[Event] = []
        for number, event in enumerate(events):
            if event["ev"] == "timer" and event["what"] == "start":
                started.append(event)
            elif started and of_the_lab(event):
                before = events[number - 1]
                found |= {start["timer"]: None for start in started if start is before or _soon(start, event)}
                started.clear()
            elif started and not _soon(started[-1], event):
                del started[:-1]  # that one alone may be next to what follows
    return found


def _soon(start: Event, event: Event) -> bool:
    return float(event["t"]) - float(start["t"]) <= _INTERRUPTED


def kept(events: Iterable[Event], timers: Mapping[int, int], known: Container[int]) -> Iterator[Event]:
    """The events of one CPU without those of nobody in the lab. What follows upon a start stays, though nameless."""
    after_start = False
    for event in events:
        starts = False
        if event["ev"] == "timer" and event["timer"] in timers:
            starts = event["what"] == "start"
            yield event | {"timer": timers[event["timer"]]}
        elif event["ev"] == "state" and not of_the_lab(event) and event["a"] not in known:
            if after_start:
                yield {key: event[key] for key in ("t", "cpu", "old", "new")} | {"ev": "other"}
        elif event["ev"] not in ("timer", "other"):
            yield event
        elif after_start:
            yield {key: event[key] for key in ("t", "cpu", "old", "new") if key in event} | {"ev": "other"}
        after_start = starts


def _sockaddr(payload: memoryview, offset: int) -> str:
    """A struct sockaddr_in, or the IPv4 address in a sockaddr_in6."""
    family, port = struct.unpack_from("=H2s", payload, offset)
    start = offset + (4 if family == socket.AF_INET else 20)
    return f"{socket.inet_ntoa(payload[start : start + 4])}:{int.from_bytes(port, 'big')}"
