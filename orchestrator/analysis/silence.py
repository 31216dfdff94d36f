"""How long a connection had been silent when it was closed, and whether somebody owed an answer, by TCP_INFO.

The kernel tells at each sample when data was last sent and received, to a tick of its clock; so this is known of every
program, whether it reports or not.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.analysis.nodata import last_tick, no_data_since
from orchestrator.history.lifetimes import birth
from orchestrator.history.model import Connection, History, Socket

_TICK = 0.01
"""Seconds: the longest tick of the kernel's clock (HZ=100)."""


class Silence(NamedTuple):
    """Seconds from the last data of a connection to its closing, at least and at most. `unanswered`: the last data were
    the client's, so the server was at work, or the rest of a request was awaited."""

    least: float
    most: float
    unanswered: bool


def silence(connection: Connection, history: History) -> Silence | None:
    """Before the first FIN or RST; None where the recording does not show it, or no data ever went over it."""
    closed = connection.closing.at
    if closed is None:
        return None
    to_server = _last(connection.server, closed[1], "received_at", connection.client, "sent_at")
    to_client = _last(connection.client, closed[1], "received_at", connection.server, "sent_at")
    last = max(to_server or 0.0, to_client or 0.0)
    if not last or not _observed(connection, history, closed[0]):
        return None
    unanswered = to_server is not None and (to_client is None or to_server > to_client + _TICK)
    return Silence(max(0.0, closed[0] - last - _TICK), max(0.0, closed[1] - last + _TICK), unanswered)


def _last(one: Socket | None, until: float, name: str, other: Socket | None, other_name: str) -> float | None:
    """When data last went in one direction, as either end tells; what came after the closing does not count."""
    found: float | None = None
    for end, field in ((one, name), (other, other_name)):
        for reading in reversed(end.traffic) if end is not None else ():
            t = getattr(reading, field)
            if t is not None and t <= until + _TICK:
                found = float(t) if found is None else max(found, float(t))
                break  # readings are in order of time
    return found


def _observed(connection: Connection, history: History, closed: float) -> bool:
    """Whether it is known that nothing went over it between the last sample and its closing."""
    before = last_tick(history, closed)
    if before is None or not any(end.traffic and birth(end)[1] <= before for end in connection.ends):
        return False
    return no_data_since(connection, history, before, closed)
