"""Which connection a program reports something of: a client its requests, a server what it served or closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from orchestrator.history.lifetimes import death
from orchestrator.history.model import Connection
from orchestrator.recording.events import Event, answered, begun

_SLACK = 0.1
"""Seconds: the tick that first shows a socket may bear a time a little before or after a program's report."""


class Finder:
    """Finds the connection that an event belongs to. One address pair can be several, one after the other."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._by_client: dict[tuple[object, object], list[int]] = defaultdict(list)
        self._by_server: dict[tuple[object, object], list[int]] = defaultdict(list)
        for number, connection in enumerate(connections):
            self._by_client[connection.client_pair].append(number)
            self._by_server[connection.server_pair].append(number)

    def sort(self, events: Iterable[Event], *, by_client: bool) -> dict[int, list[Event]]:
        """Number of the connection -> its events."""
        found: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            candidates = (self._by_client if by_client else self._by_server).get(
                (event.get("local"), event.get("peer")), ()
            )
            number = self._choose(candidates, event, by_client=by_client)
            if number is not None:
                found[number].append(event)
        return found

    def _choose(self, candidates: Iterable[int], event: Event, *, by_client: bool) -> int | None:
        """By the socket's cookie where the program could read it; else the last connection opened by then."""
        chosen = None
        for number in candidates:
            connection = self._connections[number]
            end = connection.client if by_client else connection.server
            if end is not None and event.get("sk") == end.sk:
                return number
            if connection.opened[0] <= float(event["t"]) and _lived(connection, event):
                chosen = number
        return chosen


def _lived(connection: Connection, event: Event) -> bool:
    """Whether the connection may have been there when the event's story began."""
    return max(death(end) for end in connection.ends) + _SLACK >= begun(event)


def with_repeats(requests: Iterable[Event]) -> list[Event]:
    """The requests in their order, with `repeated` in each attempt that the client's library made again by itself.

    That is one without a response, after which the same request of the same command has another event. One with a
    response was followed by a redirect.
    """
    found = list(requests)
    later: set[tuple[object, ...]] = set()
    for place in range(len(found) - 1, -1, -1):
        event = found[place]
        key = (event.get("node"), event.get("id"), event.get("n"))
        if None in key:
            continue
        if key in later and not answered(event):
            found[place] = {**event, "repeated": True}
        later.add(key)
    return found


def attempt_error(event: Event) -> str:
    """The error of an attempt that was repeated; `unanswered` where the library kept it to itself."""
    return next(iter(errors_met(event)), "unanswered")


def errors_met(request: Event) -> tuple[str, ...]:
    """Names of the errors that a client met with a request: what it reported, then what its library swallowed."""
    found = (request.get("error"), request.get("send_error"))
    return tuple(str(each.get("name", "error")) for each in found if isinstance(each, dict))


def share_headers(event: Event, known: dict[tuple[tuple[str, str], ...], dict[str, str]]) -> None:
    """Keep headers that are the same for many requests once."""
    for name in ("request_headers", "response_headers"):
        found = event.get(name)
        if found and all(value.__class__ is str for value in found.values()):
            event[name] = known.setdefault(tuple(found.items()), found)
