"""Which minisocket a timer is of, and what became of that: the first inference from the kernel's trace.

A minisocket (TIME_WAIT, or an orphan in FIN_WAIT2) has no events of its own. Its timer has. When it comes to be, its
timer is started, and the same CPU reports the end of its full socket next (net/ipv4/tcp_minisocks.c, tcp_time_wait).
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.recording.events import Event
from orchestrator.tcp.states import TcpState

_BIRTH = 0.000_2
"""Seconds. A minisocket's timer starts some 3 microseconds before its full socket reports CLOSED on the same CPU."""

_TO_MINISOCKET = ((TcpState.FIN_WAIT2, TcpState.CLOSED), (TcpState.CLOSING, TcpState.CLOSED))
"""What a full socket reports when it becomes a minisocket; a CLOSED from LAST_ACK is some peer's."""

_OF_SOCKET = ("node", "a", "local", "peer")


def recognised(lines: Iterable[Event]) -> list[Event]:
    """The lines without `timer` and `other`, and a `minisocket` for each timer's event: `born`, `rearmed` or `expired`,
    with the timer, and a `born` with the socket that it is of, if that is of the lab. Both in order of time.
    """
    found: list[Event] = []
    started: dict[int, Event] = {}
    for line in lines:
        start = started.pop(line["cpu"], None)
        if start is not None:
            found.append(_born_or_rearmed(start, line))
        if line["ev"] == "timer":
            if line["what"] == "start":
                started[line["cpu"]] = line
            else:
                found.append(_minisocket(line, "expired"))
        elif line["ev"] != "other":
            found.append({key: value for key, value in line.items() if key != "cpu"})
    found += [_minisocket(start, "rearmed") for start in started.values()]
    found.sort(key=_time)
    return found


def _born_or_rearmed(start: Event, following: Event) -> Event:
    """What the timer's start means, by what its CPU reported next."""
    change = (following.get("old"), following.get("new"))
    late = _time(following) - _time(start) >= _BIRTH
    if following["ev"] not in ("state", "other") or change not in _TO_MINISOCKET or late:
        return _minisocket(start, "rearmed")
    born = _minisocket(start, "born")
    # A birth of nobody's minisocket counts too: the kernel may have given it the memory, and so the address, of one of
    # ours that ended without an event.
    return born if not following.get("node") else born | {key: following[key] for key in (*_OF_SOCKET, "old")}


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
