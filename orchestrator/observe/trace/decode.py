"""From raw trace records to event lines: what each kernel event means, and which node it belongs to."""

from __future__ import annotations

import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.history.accepts import name_accepted
from orchestrator.history.orphans import without_orphans
from orchestrator.history.resets import complete_resets
from orchestrator.observe.sources.sockdiag import STATES
from orchestrator.observe.trace.ringbuffer import records
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import ANY
from orchestrator.tcp.states import TcpState

if TYPE_CHECKING:
    from orchestrator.history.nat import Translations

_FIELD = re.compile(r"field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d+);")
_NAME = re.compile(r"(\w+)(?:\[\d+\])?$")
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)
_REASON = re.compile(r"\{ (\d+), \"(\w+)\" \}")

_BIRTH_NS = 200_000
"""A minisocket's timer starts some 3 microseconds before its full socket reports CLOSE on the same CPU."""

_TO_MINISOCKET = ((TcpState.FIN_WAIT2, TcpState.CLOSED), (TcpState.CLOSING, TcpState.CLOSED))
"""What a full socket reports when it becomes a minisocket; a CLOSE from LAST_ACK is some peer's."""

_LOOPBACK = 127

_COUNTED = {
    (TcpState.CLOSED, TcpState.SYN_SENT): "connections opened",
    (TcpState.LISTEN, TcpState.SYN_RECV): "connections accepted",
    (TcpState.FIN_WAIT2, TcpState.CLOSED): "minisockets",
    (TcpState.CLOSING, TcpState.CLOSED): "minisockets",
}
"""Changes of state that kernel counters count, in the words of recording/conservation.py."""

_u16, _i32, _u64 = struct.Struct("=H"), struct.Struct("=i"), struct.Struct("=Q")


@dataclass(frozen=True, slots=True)
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


@dataclass(slots=True)
class _Timer:
    """A start of a minisocket's timer, until it is known what it means."""

    ns: int
    address: int


class Decoder:
    """Decodes the pages of all CPUs. `node_of` maps an address to its node; events of no node are left out."""

    def __init__(self, formats: Mapping[str, str], node_of: Callable[[str], str | None], zero: float) -> None:
        layouts = [Layout.parse(name, text) for name, text in formats.items()]
        self._layouts = {layout.number: layout for layout in layouts}
        self._reasons = dict(_REASON.findall(formats["tcp/tcp_send_reset"].rpartition("REC->reason")[2]))
        self._node_of = node_of
        self._zero_ns = round(zero * 1e9)
        self.loopback: Counter[str] = Counter()
        """What sockets on 127.0.0.0/8 did, of any node and of this machine: the events do not tell whose they are."""
        self._sockets: dict[int, int] = {0: 0}
        self._timers: dict[int, Event] = {}
        self._changed: tuple[TcpState, TcpState] | None = None
        """The change of state that was read last, of whichever socket; None when it was another event."""
        self._readers: dict[str, Callable[[Layout, memoryview], Event | None]] = {
            "sock/inet_sock_set_state": self._state,
            "tcp/tcp_destroy_sock": self._destroy,
            "tcp/tcp_send_reset": self._rst,
            "tcp/tcp_receive_reset": self._rst_received,
            "tcp/tcp_retransmit_skb": self._retransmit,
            "tcp/tcp_retransmit_synack": self._retransmit,
        }

    def decode(self, cpus: Sequence[Sequence[bytes]], translations: Translations | None) -> list[Event]:
        """All events of the lab in order of time. `cpus`: the pages of each CPU, oldest first."""
        events = [event for pages in cpus for event in self._one_cpu(pages)]
        events.sort(key=lambda event: float(event["t"]))
        placed = [event for event in name_accepted(events) if "timer" not in event or self._place(event)]
        return complete_resets(without_orphans(placed), self._node_of, translations)

    def _one_cpu(self, pages: Sequence[bytes]) -> Iterator[Event]:
        started: _Timer | None = None
        for page in pages:
            for ns, payload in records(page):
                layout = self._layouts.get(_u16.unpack_from(payload)[0])
                if layout is None:
                    continue
                if layout.name.startswith("timer/"):
                    if started is not None:
                        yield self._timer_event(started.ns, "rearmed", started.address)
                        started = None
                    address = _u64.unpack_from(payload, layout.fields["timer"])[0]
                    if layout.name == "timer/timer_start":
                        started = _Timer(ns, address)
                    else:
                        yield self._timer_event(ns, "expired", address)
                    continue
                self._changed = None
                event = self._readers[layout.name](layout, payload)
                if started is not None:
                    yield self._birth_or_rearm(started, ns, event)
                    started = None
                if event is not None:
                    event["t"] = self._seconds(ns)
                    yield event
        if started is not None:
            yield self._timer_event(started.ns, "rearmed", started.address)

    def _birth_or_rearm(self, started: _Timer, ns: int, event: Event | None) -> Event:
        """What the timer's start means, by what the CPU reported next. A birth of no node's minisocket counts too: the
        kernel may have given it the memory, and so the address, of one of ours that ended without an event."""
        if self._changed not in _TO_MINISOCKET or ns - started.ns >= _BIRTH_NS:
            return self._timer_event(started.ns, "rearmed", started.address)
        timer = self._timer_event(started.ns, "born", started.address)
        return timer if event is None else timer | {key: event[key] for key in ("node", "a", "local", "peer", "old")}

    def _timer_event(self, ns: int, what: str, address: int) -> Event:
        return {"t": self._seconds(ns), "ev": "minisocket", "what": what, "timer": address}

    def _place(self, event: Event) -> bool:
        """Give a timer's event the socket that the timer was born for; False for one of somebody else."""
        address = event.pop("timer")
        if event["what"] == "born":
            self._timers.pop(address, None)
            if "node" not in event:
                return False
            self._timers[address] = event
            return True
        born = self._timers.get(address)
        if born is None:
            return False
        event |= {key: born[key] for key in ("node", "a", "local", "peer")}
        if event["what"] == "expired":
            del self._timers[address]
        return True

    def _seconds(self, ns: int) -> float:
        return (ns - self._zero_ns) / 1e9

    # -- one reader per kind of event ------------------------------------------------------------------------------

    def _state(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._named("state", layout, payload)
        old = STATES[_i32.unpack_from(payload, layout.fields["oldstate"])[0]]
        new = STATES[_i32.unpack_from(payload, layout.fields["newstate"])[0]]
        self._changed = (old, new)
        if event is not None:
            return event | {"old": old.value, "new": new.value}
        if new is TcpState.SYN_RECV and not any(payload[layout.fields["saddr"] :][:4]):
            return {"ev": "state", "node": "", "a": self._socket(layout, payload), "old": old.value, "new": new.value}
        if payload[layout.fields["saddr"]] == _LOOPBACK and (what := _COUNTED.get((old, new))):
            self.loopback[what] += 1
        return None

    def _destroy(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._named("destroy", layout, payload)
        return event and event | {"sk": self._cookie(layout, payload)}

    def _rst_received(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._named("rst_received", layout, payload)
        return event and event | {"sk": self._cookie(layout, payload)}

    def _retransmit(self, layout: Layout, payload: memoryview) -> Event | None:
        event = self._named("retransmit", layout, payload)
        if event is not None:
            # A SYN+ACK is sent for a request socket, which has no state of its own.
            at = layout.fields.get("state")
            event["state"] = TcpState.SYN_RECV if at is None else STATES[_i32.unpack_from(payload, at)[0]].value
        return event

    def _rst(self, layout: Layout, payload: memoryview) -> Event | None:
        if "sport" in layout.fields:  # before Linux 6.10
            event = self._named("rst", layout, payload)
            return event and event | {"reason": ""}
        local = _sockaddr(payload, layout.fields["saddr"])
        host = local.rpartition(":")[0]
        node = self._node_of(host)
        if host.startswith("127."):
            self.loopback["RST sent"] += 1
        if node is None and host not in ANY:
            return None
        reason = ""
        if "reason" in layout.fields:  # since Linux 6.10
            number = _i32.unpack_from(payload, layout.fields["reason"])[0]
            reason = self._reasons.get(str(number), str(number))
        return {
            "ev": "rst",
            "node": node or "",  # a listening socket's: complete_resets() finds whose
            "a": self._socket(layout, payload),
            "local": local,
            "peer": _sockaddr(payload, layout.fields["daddr"]),
            "reason": reason,
        }

    def _named(self, ev: str, layout: Layout, payload: memoryview) -> Event | None:
        """The fields that most events share; None when the socket is of no node."""
        at = layout.fields
        address = socket.inet_ntoa(payload[at["saddr"] : at["saddr"] + 4])
        node = self._node_of(address)
        if node is None:
            return None
        peer = socket.inet_ntoa(payload[at["daddr"] : at["daddr"] + 4])
        return {
            "ev": ev,
            "node": node,
            "a": self._socket(layout, payload),
            "local": f"{address}:{_u16.unpack_from(payload, at['sport'])[0]}",
            "peer": f"{peer}:{_u16.unpack_from(payload, at['dport'])[0]}",
        }

    def _socket(self, layout: Layout, payload: memoryview) -> int:
        """A small number for a kernel address: the address itself is nobody's business."""
        address = _u64.unpack_from(payload, layout.fields["skaddr"])[0]
        return self._sockets.setdefault(address, len(self._sockets))

    def _cookie(self, layout: Layout, payload: memoryview) -> str:
        return f"{_u64.unpack_from(payload, layout.fields['sock_cookie'])[0]:x}"


def _sockaddr(payload: memoryview, offset: int) -> str:
    """A struct sockaddr_in, or the IPv4 address in a sockaddr_in6."""
    family, port = struct.unpack_from("=H2s", payload, offset)
    start = offset + (4 if family == socket.AF_INET else 20)
    return f"{socket.inet_ntoa(payload[start : start + 4])}:{int.from_bytes(port, 'big')}"
