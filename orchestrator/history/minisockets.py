"""Which minisocket a timer is of, and what became of that: the first inference from the kernel's trace.

A minisocket (TIME_WAIT, or an orphan in FIN_WAIT2) has no events of its own. Its timer has. When it comes to be, its
timer is started, and the same CPU reports the end of its full socket next (net/ipv4/tcp_minisocks.c, tcp_time_wait).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from orchestrator.recording.events import Event
from orchestrator.tcp.states import TcpState

_UNDER_WAY = 1.0
"""Seconds that the making of a minisocket may take, a virtual CPU that is taken away meanwhile included."""

_INTERRUPTED = 0.005
"""The same where its CPU reports something else in between, from a soft interrupt."""

_TO_MINISOCKET = ((TcpState.FIN_WAIT2, TcpState.CLOSED), (TcpState.CLOSING, TcpState.CLOSED))
"""What a full socket reports when it becomes a minisocket; a CLOSED from LAST_ACK is some peer's."""

_RESETS = frozenset(("rst", "rst_received"))

_OF_SOCKET = ("node", "a", "local", "peer")


def recognised(lines: Iterable[Event]) -> list[Event]:
    """The lines without `timer` and `other`, and a `minisocket` for each timer's event: `born`, `rearmed` or `expired`,
    with the timer, and a `born` with the socket that it is of, if that is of the lab. Both in order of time.

    Start and end belong together by their CPU and their order, however long that was taken away between them. The
    kernel may do other things between the two, in a soft interrupt, and there make another minisocket: so it is the
    last start that is still open.

    The lines are taken over, and lose their `cpu`.
    """
    minisockets: list[Event] = []
    others: list[Event] = []
    by_cpu: dict[int, list[Event]] = defaultdict(list)
    for line in lines:
        by_cpu[line.pop("cpu")].append(line)
        kind = line["ev"]
        if kind == "timer":
            if line["what"] == "expire":
                minisockets.append(_minisocket(line, "expired"))
        elif kind != "other":
            others.append(line)
    for of_cpu in by_cpu.values():
        minisockets += _of_one_cpu(of_cpu)
    # A birth comes before what is reported at the same time.
    return _settled(sorted([*minisockets, *others], key=itemgetter("t")))


def _settled(found: list[Event]) -> list[Event]:
    """With births that were interrupted taken back where the timer is that of a minisocket which lives: that one was
    started again, and the full socket that ended soon after on the same CPU became nothing (the kernel makes no more
    than tcp_max_tw_buckets)."""
    alive: set[int] = set()
    settled = []
    for event in found:
        if event["ev"] == "minisocket":
            interrupted = event.pop("interrupted", False)
            if event["what"] == "expired":
                alive.discard(event["timer"])
            elif event["what"] == "born" and interrupted and event["timer"] in alive:
                event = {key: event[key] for key in ("t", "ev", "timer")} | {"what": "rearmed"}
            elif event["what"] == "born":
                alive.add(event["timer"])
        settled.append(event)
    return settled


def _of_one_cpu(lines: Sequence[Event]) -> Iterator[Event]:
    """Births, and starts of timers that are none."""
    started: list[int] = []
    reset = _ended_by_reset(lines)
    for number, line in enumerate(lines):
        if line["ev"] == "timer":
            if line["what"] == "start":
                started.append(number)
        elif started and number not in reset and _makes_one(lines, number, started[-1]):
            start = started.pop()
            yield _born(lines[start], line) | ({"interrupted": True} if start != number - 1 else {})
    yield from (_minisocket(lines[number], "rearmed") for number in started)


def _makes_one(lines: Sequence[Event], number: int, start: int) -> bool:
    """Whether line `number` is the end of a full socket of which a minisocket was made, the one whose timer was started
    in line `start`."""
    at_most = _UNDER_WAY if start == number - 1 else _INTERRUPTED
    return _ends_full_socket(lines[number]) and _time(lines[number]) - _time(lines[start]) <= at_most


def _ends_full_socket(line: Event) -> bool:
    return line["ev"] in ("state", "other") and (line.get("old"), line.get("new")) in _TO_MINISOCKET


def _ended_by_reset(lines: Sequence[Event]) -> set[int]:
    """Which lines are the end of a full socket by a RST, of which no minisocket is made though it looks the same: a RST
    that came is the socket's event before, one that is sent for unread data the one after it (net/ipv4/tcp.c,
    __tcp_close). Events of others may lie in between: whether those were kept must not matter."""
    sockets = {line["a"] for line in lines if line["ev"] in _RESETS}
    found: set[int] = set()
    last: dict[int, int] = {}
    for number, line in enumerate(lines) if sockets else ():
        if line.get("a") not in sockets:
            continue
        socket = line["a"]
        before = last.get(socket)
        last[socket] = number
        if before is None or _time(line) - _time(lines[before]) > _UNDER_WAY:
            continue
        for end, other in ((number, before), (before, number)):
            if _ends_full_socket(lines[end]) and lines[other]["ev"] in _RESETS:
                found.add(end)
    return found


def _born(start: Event, ended: Event) -> Event:
    born = _minisocket(start, "born")
    # A birth of nobody's minisocket counts too: the kernel may have given it the memory, and so the address, of one of
    # ours that ended without an event.
    return born if not ended.get("node") else born | {key: ended[key] for key in (*_OF_SOCKET, "old")}


def _minisocket(line: Event, what: str) -> Event:
    return {"t": line["t"], "ev": "minisocket", "what": what, "timer": line["timer"]}


def placed(events: Iterable[Event]) -> list[Event]:
    """The events, with the socket of each minisocket that `recognised` knew by its timer; others' are left out."""
    born: dict[int, Event] = {}
    return [event for event in events if event["ev"] != "minisocket" or _place(event, born)]


def _place(event: Event, born: dict[int, Event]) -> bool:
    timer = event.pop("timer")
    if event["what"] == "born":
        born.pop(timer, None)
        if "node" in event:
            born[timer] = event
        return "node" in event
    birth = born.get(timer)
    if birth is None:
        return False
    event |= {key: birth[key] for key in _OF_SOCKET}
    if event["what"] == "expired":
        del born[timer]
    return True


def _time(event: Event) -> float:
    return float(event["t"])
