"""Requests that failed through a proxy, each with what became of the proxy's own connection at that time, and with what
the proxy's log says of it.

The link is one of time: while the request was under way the proxy's connection to the next hop was refused, reset,
closed or given up. Where other requests were under way through the same proxy it may have been one of theirs: then the
link is not `sure`. A line of a log belongs to a request by the client's address, the request, and when it was written.
"""

from __future__ import annotations

from collections import defaultdict
from urllib.parse import urlsplit

from orchestrator.analysis.nexthop import Cause, NextHops
from orchestrator.history.model import History
from orchestrator.history.reports import Finder
from orchestrator.recording.events import Event, answered, begun
from orchestrator.tcp.addresses import split_address
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record

_LOG_LATE = 1.0
"""Seconds by which a line of a log may be written, or a reading of it be late."""

_SERVER_ERRORS = 500


@record
class Failure(Data):
    """A request that failed: an error, or a status of 500 or more."""

    client: str
    """The client."""
    t: float
    """When it ended."""
    request: str
    """`GET /path`."""
    result: str
    """The status, or the name of the error."""
    connection: int | None
    """The client's connection, as in `Cause`; null when it is not known."""
    proxy: str
    """The node that the client had called."""
    causes: tuple[Cause, ...]
    """What became of connections behind it at that time; empty where nothing is seen."""
    sure: bool
    """Whether no other request was under way there, to which the causes may belong."""
    says: str
    """What the proxy's log says of it; empty where it says nothing."""


def failures(history: History) -> list[Failure]:
    """Those of which a cause is seen, or a log says something, in order of time."""
    failed = [event for event in history.requests if not event.get("repeated") and _failed(event)]
    if not failed:
        return []
    finder = Finder(history.connections)
    behind = NextHops(history)
    found = finder.sort(failed, by_client=True)
    number_of = {id(event): number for number, events in found.items() for event in events}
    said = _Logs(history)
    made = (_failure(event, number_of.get(id(event)), history, behind, said) for event in failed)
    return [one for one in made if one is not None and (one.causes or one.says)]


def _failed(event: Event) -> bool:
    if event.get("error"):
        return True
    status = event.get("status")
    return isinstance(status, int) and status >= _SERVER_ERRORS


def _failure(event: Event, number: int | None, history: History, behind: NextHops, said: _Logs) -> Failure | None:
    connection = None if number is None else history.connections[number]
    proxy = None if connection is None else connection.server_node
    if connection is None or proxy is None:
        return None
    causes, sure = behind.causes(proxy, begun(event), float(event["t"]))
    error = event.get("error")
    return Failure(
        client=event["node"],
        t=float(event["t"]),
        request=_request(event),
        result=str(error["name"]) if error else answered(event),
        connection=None if number is None else number + 1,
        proxy=proxy,
        causes=causes,
        sure=sure,
        says=said.take(proxy, connection.server_pair[1], event),
    )


def _request(event: Event) -> str:
    try:
        parts = urlsplit(str(event.get("url") or ""))
    except ValueError:
        return str(event.get("method") or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{event.get('method') or ''} {path}".strip()


class _Logs:
    """The lines of logs, each for one request. They are kept by what they name, so that few are looked at for each."""

    def __init__(self, history: History) -> None:
        self._lines: dict[tuple[str, str, int | None, str], list[Event]] = defaultdict(list)
        for line in history.logs:
            if line.get("client"):
                host, port = _client(line)
                request = " ".join(str(line.get("request") or "").split()[:2])  # without its version
                self._lines[line["node"], host, port, request].append(line)

    def take(self, proxy: str, client: str, event: Event) -> str:
        """What the proxy's log says of the request of a client at that address; empty for nothing."""
        host, port = split_address(client)
        for of_port in (port, None):
            for request in (_request(event), ""):
                known = self._lines.get((proxy, host, of_port, request), [])
                place = next((place for place, line in enumerate(known) if _fits(line, event)), None)
                if place is not None:
                    line = known.pop(place)
                    code = line.get("code")
                    return f"{code}: {line['says']}" if code else str(line["says"])
        return ""


def _fits(line: Event, event: Event) -> bool:
    """Whether it tells the same status, and can have been written for the request."""
    status = event.get("status")
    if line.get("status") and status is not None and line["status"] != str(status):
        return False
    return float(line["t"]) >= begun(event) and float(line["after"]) <= float(event["t"]) + _LOG_LATE


def _client(line: Event) -> tuple[str, int | None]:
    """Host and port of the client that a line names; some name no port."""
    address = str(line["client"])
    return split_address(address) if ":" in address else (address, None)
