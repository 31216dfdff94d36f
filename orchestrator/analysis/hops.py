"""What a run shows of each hop (client to proxy, proxy to server), in the few facts that a table has room for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.analysis.exchanges import Reports, reports_of_each
from orchestrator.analysis.requests import error_name
from orchestrator.analysis.services import services
from orchestrator.analysis.summary import ConnectionSummary, summaries
from orchestrator.history.model import ClosingKind, Connection, History
from orchestrator.recording.events import Event, answered

NOWHERE = "nowhere"
NOBODY = "nobody"

_ADVERTISING = "keep-alive"
"""The header field, in lower case, in which a server may say how long it keeps an idle connection: RFC 2068, 19.7.1."""


@dataclass(slots=True)
class Hop:
    """The connections between two services. Nodes go by their service's name."""

    client: str
    server: str
    connections: int = 0
    first_closer: Counter[str] = field(default_factory=Counter)
    """Service, or NOBODY for one that was open to the end -> connections. One that nobody can tell of is not there."""
    by: Counter[ClosingKind] = field(default_factory=Counter)
    """FIN or RST -> connections, of those that were closed, where a trace tells."""
    idle: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """First closer -> seconds from a connection's last exchange to its FIN or RST, where a client reports exchanges."""
    time_wait: Counter[str] = field(default_factory=Counter)
    """Service, or NOWHERE -> connections, of those that were closed."""
    advertised: Counter[str] = field(default_factory=Counter)
    """What the response field Keep-Alive said, empty for a response without it -> responses."""
    answered: Counter[str] = field(default_factory=Counter)
    """HTTP status, or what a data store answered -> requests."""
    errors: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Attempts that the client's library made again by itself."""

    def count(self, summary: ConnectionSummary, connection: Connection, reports: Reports) -> None:
        """Add one connection that was established."""
        self.connections += 1
        if summary.open:
            self.first_closer[NOBODY] += 1
            return
        if summary.first_closer is None:
            return
        self.first_closer[summary.first_closer] += 1
        if summary.traced:
            self.by[summary.kind] += 1
        self.time_wait.update(dict.fromkeys(summary.time_wait, 1) or {NOWHERE: 1})
        if reports.exchanges and connection.closed is not None:
            self.idle[summary.first_closer].append(max(0.0, connection.closed[1] - reports.exchanges[-1].done))


def hops(history: History) -> list[Hop]:
    """Every hop that had a connection or a request, in the order of the first one."""
    found: dict[tuple[str, str], Hop] = {}
    found_in = zip(summaries(history), history.connections, reports_of_each(history), strict=True)
    for summary, connection, reports in sorted(found_in, key=lambda each: each[1].opened):
        if summary.established:
            found.setdefault((summary.client, summary.server), Hop(summary.client, summary.server)).count(
                summary, connection, reports
            )
    for client, event in _requests(history):
        # Clients speak to one hop; which one it was when there are several is known only from its address.
        hop = next((hop for hop in found.values() if hop.client == client), None)
        hop = hop or found.setdefault((client, ""), Hop(client, ""))
        if event.get("repeated"):
            hop.repeated += 1
            continue
        if event.get("error"):
            hop.errors[error_name(event["error"])] += 1
            continue
        hop.answered[answered(event)] += 1
        headers = event.get("response_headers") or {}
        named = {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
        hop.advertised[named.get(_ADVERTISING, "")] += 1
    return list(found.values())


def _requests(history: History) -> Iterator[tuple[str, Event]]:
    service = services(history)
    for event in history.requests:
        node = str(event.get("node", "?"))
        yield service.get(node, node), event
