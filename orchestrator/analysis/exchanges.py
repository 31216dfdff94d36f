"""The HTTP exchanges of each connection: what clients say about their requests, joined with what servers say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from orchestrator.history.model import Connection, History
from orchestrator.history.reports import Finder, errors_met
from orchestrator.recording.events import Event, answered

_WITHOUT_PATH = ("postgresql", "redis")
"""Schemes of URLs whose path is at most the name of a database."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it. Times in seconds of the run.

    `began` is when the client's program called its library, before the connection was there if it needed a new one;
    `served` when the server's program had read the request; `done` when the client's program had its answer or error.
    Without a client that speaks, `began` and `done` are `served`.
    """

    method: str
    path: str
    began: float
    done: float
    status: str = ""
    error: str = ""
    served: float | None = None
    met: frozenset[str] = frozenset()
    """Names of the errors that the client met, those that its library swallowed included."""
    reported: bool = True
    """Whether the client reports it; else only the server does."""
    answer: str = ""
    """The status with which the server says that it answered; the client may not have got it."""

    @property
    def request(self) -> str:
        return f"{self.method} {self.path}".strip()


@dataclass(slots=True)
class Reports:
    """What programs report of one connection."""

    exchanges: list[Exchange] = field(default_factory=list)
    closed: Event | None = None
    """The server's event `closed`."""


def addresses(connection: Connection) -> tuple[str, str]:
    """The client's and the server's address, each as its own node has it."""
    return connection.client_pair[0], connection.server_pair[0]


def reports_of_each(history: History) -> list[Reports]:
    """One for each connection of the history, in its order."""
    finder = Finder(history.connections)
    requests = finder.sort(history.requests, by_client=True)
    served = finder.sort(history.served, by_client=False)
    closed = finder.sort(history.closed, by_client=False)
    return [
        Reports(_exchanges(requests[number], served[number]), closed[number][-1] if closed[number] else None)
        for number in range(len(history.connections))
    ]


def _exchanges(requests: list[Event], served: list[Event]) -> list[Exchange]:
    by_number: dict[object, list[Event]] = defaultdict(list)
    for event in reversed(served):
        by_number[event.get("nth")].append(event)
    found = [_reported_by_client(event, _last(by_number[event.get("nth")])) for event in requests]
    found += [_reported_by_server(event) for left in by_number.values() for event in left]
    return sorted(found, key=lambda exchange: (exchange.done, exchange.began))


_T = TypeVar("_T")


def _last(items: list[_T]) -> _T | None:
    return items.pop() if items else None


def _reported_by_client(event: Event, served: Event | None) -> Exchange:
    done = float(event["t"])
    called = event.get("t0")
    names = errors_met(event)
    return Exchange(
        method=str(event.get("method") or ""),
        path=_path(str(event.get("url") or "")),
        began=done if called is None else min(float(called), done),
        done=done,
        status=answered(event),
        error=names[0] if event.get("error") else "",
        served=None if served is None else float(served["t"]),
        met=frozenset(names),
        answer=answered(served) if served is not None else "",
    )


def _reported_by_server(event: Event) -> Exchange:
    t = float(event["t"])
    status, method, path = answered(event), str(event.get("method") or ""), str(event.get("path") or "")
    return Exchange(method, path, t, t, status, served=t, reported=False, answer=status)


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL: shown as it is
        return url
    path = parts.path or "/"
    if path == "/" and parts.scheme in _WITHOUT_PATH:
        path = ""
    return path + (f"?{parts.query}" if parts.query else "")
