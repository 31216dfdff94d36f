"""The HTTP exchanges of each connection: what clients say about their requests, joined with what servers say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from orchestrator.history.model import Connection, History
from orchestrator.history.reports import Finder, errors_met
from orchestrator.recording.events import Event, answered
from orchestrator.text.record import record

_WITHOUT_PATH = ("postgresql", "redis")
"""Schemes of URLs whose path is at most the name of a database."""


@record
class Exchange:
    """One request and what became of it. Times in seconds of the run.

    `began` is when the client's program called its library, before the connection was there if it needed a new one;
    `served` when the server's program had read the request; `answered` when it had written its response; `done` when
    the client's program had its answer or error. Without a client that speaks, `began` is `served`, and `done` too as
    long as the server does not say that it answered: what it began is not what it answered.
    """

    method: str
    path: str
    began: float
    done: float
    status: str = ""
    error: str = ""
    served: float | None = None
    answered: float | None = None
    telling: bool = True
    """Whether the server would have told that it answered: recordings of older versions have no `answered`."""
    met: frozenset[str] = frozenset()
    """Names of the errors that the client met, those that its library swallowed included."""
    reported: bool = True
    """Whether the client reports it; else only the server does."""
    answer: str = ""
    """The status of the server's response, as it says itself; the client may not have got it."""

    whole: bool = True
    """Whether the client sent all of the request."""

    @property
    def request(self) -> str:
        return f"{self.method} {self.path}".strip()

    @property
    def outcome_known(self) -> bool:
        """Whether an answer or error would have been reported."""
        return self.reported or self.telling


@dataclass(slots=True)
class Reports:
    """What programs report of one connection."""

    exchanges: list[Exchange] = field(default_factory=list)
    closed: Event | None = None
    """The server's event `closed`."""
    told: bool = True
    """Whether a program reports at one of the ends, and no data went over it of which none did."""

    raw: bool = False
    """Whether a step `raw` wrote to it: then data may have gone over it of which no request tells."""

    @property
    def count(self) -> int | None:
        """How many requests it carried; None: nobody tells."""
        return len(self.exchanges) if self.exchanges or self.told else None


def addresses(connection: Connection) -> tuple[str, str]:
    """The client's and the server's address, each as its own node has it."""
    return connection.client_pair[0], connection.server_pair[0]


def reports_of_each(history: History) -> list[Reports]:
    """One for each connection of the history, in its order."""
    finder = Finder(history.connections)
    requests = finder.sort(history.requests, by_client=True)
    served = finder.sort(history.served, by_client=False)
    answers = finder.sort(history.answered, by_client=False)
    telling = {event["node"] for event in history.answered}
    closed = finder.sort(history.closed, by_client=False)
    raw = finder.sort((event for event in history.raw if event.get("sent")), by_client=True)
    return [
        Reports(
            list(_exchanges(requests[number], served[number], answers[number], connection.server_node in telling)),
            closed[number][-1] if closed[number] else None,
            _told(connection, history) and not raw[number],
            bool(raw[number]),
        )
        for number, connection in enumerate(history.connections)
    ]


def _told(connection: Connection, history: History) -> bool:
    reports = connection.client_node in history.asking or connection.server_node in history.speaking
    readings = (reading for end in connection.ends for reading in end.traffic)
    return reports and not any(reading.sent_at or reading.received_at for reading in readings)


def _exchanges(requests: list[Event], served: list[Event], answers: list[Event], telling: bool) -> Iterator[Exchange]:
    """In order of their ends. `telling`: the server tells when it answers."""
    begun, ended = _by_number(served), _by_number(answers)
    found = []
    for event in requests:
        number = event.get("nth")
        found.append(_reported_by_client(event, _last(begun[number]), _last(ended[number]), telling))
    found += [
        _reported_by_server(event, _last(ended[number]), telling) for number, left in begun.items() for event in left
    ]
    return iter(sorted(found, key=lambda exchange: (exchange.done, exchange.began)))


def _by_number(events: list[Event]) -> dict[object, list[Event]]:
    """By the number of the request on its connection, the first last."""
    found: dict[object, list[Event]] = defaultdict(list)
    for event in reversed(events):
        found[event.get("nth")].append(event)
    return found


_T = TypeVar("_T")


def _last(items: list[_T]) -> _T | None:
    return items.pop() if items else None


def _reported_by_client(event: Event, served: Event | None, response: Event | None, telling: bool) -> Exchange:
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
        answered=None if response is None else float(response["t"]),
        telling=telling,
        met=frozenset(names),
        answer=answered(response or served or {}),
        whole=event.get("whole") is not False,
    )


def _reported_by_server(event: Event, response: Event | None, telling: bool) -> Exchange:
    t = float(event["t"])
    done = t if response is None else max(t, float(response["t"]))
    status = "" if response is None else answered(response)
    method, path = str(event.get("method") or ""), str(event.get("path") or "")
    return Exchange(
        method,
        path,
        began=t,
        done=done,
        status=status,
        served=t,
        answered=None if response is None else done,
        telling=telling,
        reported=False,
        answer=status or answered(event),
    )


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL: shown as it is
        return url
    path = parts.path or "/"
    if path == "/" and parts.scheme in _WITHOUT_PATH:
        path = ""
    return path + (f"?{parts.query}" if parts.query else "")
