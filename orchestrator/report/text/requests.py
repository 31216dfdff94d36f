"""The requests of a run, one line per kind: what went over which connection, and what both ends say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from orchestrator.analysis.requests import error_name
from orchestrator.history.model import History
from orchestrator.history.reports import attempt_error
from orchestrator.recording.events import Event, answered
from orchestrator.report.text.terminal import INDENT, listing, put, text
from orchestrator.text.record import record

_KINDS = 40


@record
class _Kind:
    step: str
    client: str
    request: str
    answer: str
    socket: str
    """Whether a connection was opened for it: `new` or `reused`."""
    request_connection: str
    """The request's Connection header."""
    response_connection: str
    """The response's Connection header."""
    error: str


def print_requests(history: History, console: Console) -> None:
    """Alike requests share a line. `keep-alive / close` are the Connection headers of request and response."""
    kinds = Counter(_kind(event) for event in history.requests)
    if not kinds:
        return
    console.print()
    headers = ["", "step", "client", "request", "answer", "socket", "Connection header"]
    rows = [
        [
            Text(f"{count} x"),
            *map(
                text,
                (
                    kind.step,
                    kind.client,
                    kind.request,
                    kind.answer,
                    kind.socket,
                    f"{kind.request_connection} / {kind.response_connection}",
                ),
            ),
        ]
        for kind, count in list(kinds.items())[:_KINDS]
    ]
    if len({kind.client for kind in kinds}) == 1:
        headers, rows = [*headers[:2], *headers[3:]], [[*row[:2], *row[3:]] for row in rows]
    put(console, listing(console.width - INDENT, headers, rows, flexible=["request"]), indent=INDENT)
    if len(kinds) > _KINDS:
        put(console, Text(f"... and {len(kinds) - _KINDS} more kinds of requests"), indent=INDENT)
    errors = Counter(kind.error for kind in kinds.elements() if kind.error)
    for error, count in errors.most_common(_KINDS):
        put(console, Text(f"{count} x ") + text(error), indent=INDENT)


def _kind(event: Event) -> _Kind:
    error = event.get("error")
    return _Kind(
        step=str(event.get("step", "")),
        client=str(event.get("node", "")),
        request=f"{event.get('method', '')} {event.get('url', '')}",
        answer=f"{attempt_error(event)}, repeated"
        if event.get("repeated")
        else error_name(error)
        if error
        else answered(event),
        socket="reused" if event.get("reused") else "new",
        request_connection=_header(event.get("request_headers")),
        response_connection=_header(event.get("response_headers")),
        error=str(error.get("text") or "") if isinstance(error, Mapping) else str(error or ""),
    )


def _header(headers: object) -> str:
    """The value of Connection, `-` when there was none."""
    if not isinstance(headers, Mapping):
        return ""
    return next((str(value) for name, value in headers.items() if str(name).lower() == "connection"), "-")
