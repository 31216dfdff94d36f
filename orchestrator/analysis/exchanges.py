"""The HTTP exchanges of each connection: what clients say about their requests, joined with what servers say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from orchestrator.history.lifetimes import death
from orchestrator.history.model import Connection, History
from orchestrator.recording.events import Event, answered

_WITHOUT_PATH = ("postgresql", "redis")
"""Schemes of URLs whose path is at most the name of a database."""

_SLACK = 0.1
"""Seconds: a tick that shows a socket for the first time may bear a time a little before or after a program's word."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it. Times in seconds of the run.

    `asked` is when the client's program called its library, before the connection was there if it needed a new one;
    `served` when the server's program had read the request; `done` when the client's program had its answer or error.
    Without a client that speaks, `asked` and `done` are `served`.
    """

    method: str
    path: str
    asked: float
    done: float
    status: str = ""
    error: str = ""
    served: float | None = None
    met: frozenset[str] = frozenset()
    """Names of the errors that the client met, those that its library swallowed included."""
    told: bool = True
    """Whether the client told of it; else only the server did."""
    answer: str = ""
    """The status with which the server says that it answered; the client may not have got it."""

    @property
    def request(self) -> str:
        return f"{self.method} {self.path}".strip()


@dataclass(slots=True)
class Said:
    """What programs said of one connection."""

    exchanges: list[Exchange] = field(default_factory=list)
    closed: Event | None = None
    """The server's event `closed`."""


def addresses(connection: Connection) -> tuple[str, str]:
    """The client's and the server's address, each as its own node has it."""
    return connection.client_pair[0], connection.server_pair[0]


def said_of_each(history: History) -> list[Said]:
    """One for each connection of the history, in its order."""
    finder = _Finder(history.connections)
    asked = finder.sort(history.requests, by_client=True)
    served = finder.sort(history.served, by_client=False)
    closed = finder.sort(history.closed, by_client=False)
    return [
        Said(_exchanges(asked[number], served[number]), closed[number][-1] if closed[number] else None)
        for number in range(len(history.connections))
    ]


class _Finder:
    """Finds the connection that an event belongs to. One address pair can be several, one after the other."""

    def __init__(self, connections: tuple[Connection, ...]) -> None:
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
    begun = float(event.get("t0") or event["t"])
    return max(death(end) for end in connection.ends) + _SLACK >= begun


def _exchanges(asked: list[Event], served: list[Event]) -> list[Exchange]:
    by_number: dict[object, list[Event]] = defaultdict(list)
    for event in reversed(served):
        by_number[event.get("nth")].append(event)
    found = [_told_by_client(event, _last(by_number[event.get("nth")])) for event in asked]
    found += [_told_by_server(event) for left in by_number.values() for event in left]
    return sorted(found, key=lambda exchange: (exchange.done, exchange.asked))


_T = TypeVar("_T")


def _last(items: list[_T]) -> _T | None:
    return items.pop() if items else None


def _told_by_client(event: Event, served: Event | None) -> Exchange:
    done = float(event["t"])
    asked = event.get("t0")
    error, swallowed = event.get("error"), event.get("send_error")
    names = [str(each.get("name", "error")) for each in (error, swallowed) if isinstance(each, dict)]
    return Exchange(
        method=str(event.get("method") or ""),
        path=_path(str(event.get("url") or "")),
        asked=done if asked is None else min(float(asked), done),
        done=done,
        status=answered(event),
        error=names[0] if error else "",
        served=None if served is None else float(served["t"]),
        met=frozenset(names),
        answer=answered(served) if served is not None else "",
    )


def _told_by_server(event: Event) -> Exchange:
    t = float(event["t"])
    status, method, path = answered(event), str(event.get("method") or ""), str(event.get("path") or "")
    return Exchange(method, path, t, t, status, served=t, told=False, answer=status)


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL: shown as it is
        return url
    path = parts.path or "/"
    if path == "/" and parts.scheme in _WITHOUT_PATH:
        path = ""
    return path + (f"?{parts.query}" if parts.query else "")
