"""The requests of a run, one line per kind: what went over which connection, and what both ends said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.recording.events import Event
from orchestrator.recording.history import History
from orchestrator.report.story import error_name
from orchestrator.report.terminal import text

_KINDS = 40


@dataclass(frozen=True, slots=True)
class _Kind:
    step: str
    client: str
    request: str
    connection: str
    asked: str
    """The request's Connection header: what the client said about the connection's future."""
    answer: str
    said: str
    """The response's Connection header."""
    error: str


def print_requests(history: History, console: Console) -> None:
    """Alike requests share a line. Both Connection headers stand there: they are how the ends agree to close."""
    kinds = Counter(_kind(event) for event in history.requests)
    if not kinds:
        return
    console.print()
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("", "", "step", "client", "request", "connection", "Connection:", "answer", "Connection:"):
        table.add_column(name, overflow="fold", justify="right" if not name else "left")
    for kind, count in list(kinds.items())[:_KINDS]:
        shown = (kind.step, kind.client, kind.request, kind.connection, kind.asked, kind.answer, kind.said)
        table.add_row("", Text(f"{count} x"), *map(text, shown))
    console.print(table)
    if len(kinds) > _KINDS:
        console.print(Text(f"  ... and {len(kinds) - _KINDS} more kinds of requests"))
    errors = Counter(kind.error for kind in kinds.elements() if kind.error)
    for error, count in errors.most_common(_KINDS):
        console.print(Text(f"  {count} x ") + text(error))


def _kind(event: Event) -> _Kind:
    error = event.get("error")
    return _Kind(
        step=str(event.get("step", "")),
        client=str(event.get("node", "")),
        request=f"{event.get('method', '')} {event.get('url', '')}",
        connection="reused" if event.get("reused") else "new",
        asked=_header(event.get("request_headers")),
        answer=error_name(error) if error else str(event.get("status", "")),
        said=_header(event.get("response_headers")),
        error=str(error.get("text") or "") if isinstance(error, Mapping) else str(error or ""),
    )


def _header(headers: object) -> str:
    """The value of Connection, `-` when there was none."""
    if not isinstance(headers, Mapping):
        return ""
    return next((str(value) for name, value in headers.items() if str(name).lower() == "connection"), "-")
