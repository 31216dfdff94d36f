"""The connections of a run: short names for them, what a table shows of each, and which of them tells most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from orchestrator.analysis.exchanges import Reports, addresses
from orchestrator.analysis.failures import Failure
from orchestrator.errors import InputError
from orchestrator.history.model import Closing, ClosingKind, Connection, History, Side, StateInterval
from orchestrator.recording.evidence import addresses_of, sockets_of
from orchestrator.recording.verdict import Outcome, Verdict
from orchestrator.tcp.addresses import split_address
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record


@record
class ListedConnection:
    """A connection with its name: c1, c2, ... in order of opening, the same whenever the recording is read."""

    name: str
    connection: Connection
    reports: Reports
    until: float
    """Until when the story goes, seconds of the run."""

    @property
    def client(self) -> str:
        """`client:46924`; the address where it is no node's."""
        address = addresses(self.connection)[0]
        return _named(self.connection.client_node, address)

    @property
    def server(self) -> str:
        address = addresses(self.connection)[1]
        return _named(self.connection.server_node, address)

    @property
    def failed(self) -> int:
        """How many requests on it failed."""
        return sum(bool(exchange.error) for exchange in self.reports.exchanges)

    @property
    def closing(self) -> Closing:
        return self.connection.closed_by(self.until)

    @property
    def closed(self) -> bool:
        return self.closing.kind is not ClosingKind.OPEN

    @property
    def established(self) -> bool:
        """Whether an end was seen with its handshake finished, by the end of the run."""
        return any(interval.state not in EMBRYONIC for _, interval in self._intervals)

    @property
    def time_wait(self) -> list[str]:
        """The nodes on which TIME_WAIT was seen, client first."""
        return [node for node, interval in self._intervals if interval.state is TcpState.TIME_WAIT]

    @property
    def left(self) -> list[tuple[TcpState, str]]:
        """States of the ends that are there when the run ends, with their nodes, client first."""
        lasts = [(end.intervals[-1], end.node) for end in self.connection.ends]
        return [(interval.state, node) for interval, node in lasts if interval.last >= self.until]

    @property
    def reason(self) -> str:
        """The server's own reason for closing; empty when it says none."""
        return str(self.reports.closed["reason"]) if self.reports.closed else ""

    @property
    def _intervals(self) -> list[tuple[str, StateInterval]]:
        return [
            (end.node, interval)
            for end in self.connection.ends
            for interval in end.intervals
            if interval.first <= self.until
        ]


def entries(history: History, reports: Sequence[Reports]) -> list[ListedConnection]:
    until = history.until
    return [
        ListedConnection(f"c{number}", connection, of_it, until)
        for number, (connection, of_it) in enumerate(zip(history.connections, reports, strict=True), 1)
    ]


def _named(node: str | None, address: str) -> str:
    host, port = split_address(address)
    return f"{node}:{port}" if node else address if port is not None else host


def find(wanted: str, known: Sequence[ListedConnection]) -> ListedConnection:
    """The connection with that name, or the only one with an end at that address (`198.18.0.2:40000`, `client:40000`).

    Raises InputError when there is none, or more than one.
    """
    by_name = next((entry for entry in known if entry.name == wanted.lower()), None)
    if by_name is not None:
        return by_name
    found = [entry for entry in known if wanted in (*addresses(entry.connection), entry.client, entry.server)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(entry.name for entry in found[:8]) + (", ..." if len(found) > 8 else "")
        raise InputError(
            f"--conn {wanted}: {len(found)} connections have an end there: {some}",
            hint="choose one of them by its name, or by the address of its client",
        )
    raise InputError(
        f"--conn {wanted}: the run has no such connection",
        hint=f"one of {f'c1 to c{len(known)}' if len(known) > 1 else 'c1'}, or the address:port or node:port of an end"
        if known
        else "it has no connection at all",
    )


class Telling(StrEnum):
    """Why one connection tells more than the others."""

    ACCUSED = "accused"
    """It is evidence of a failed expectation."""
    CAUSE = "cause"
    """A request through a proxy failed by what became of it."""
    FAILED = "failed"
    """A request on it failed."""
    CLOSE_WAIT = "CLOSE_WAIT"
    """An end of it is left in CLOSE_WAIT."""
    BY_SERVER = "by-server"
    """The server closed it first."""
    CLOSED = "closed"
    """It is the first that was closed."""
    FIRST = "first"


def most_telling(
    known: Sequence[ListedConnection], verdicts: Iterable[Verdict], failed: Sequence[Failure] = ()
) -> tuple[ListedConnection, Telling]:
    """The connection to show when none was chosen, and why it: the cause of a request that failed on what is evidence
    of a failed expectation, such evidence, the cause of any, failed requests, an end that is left half closed, one
    that the server closed, one that was closed at all. `failed`: requests through a proxy."""
    accused = _accused(verdicts)
    by_name = {entry.name: entry for entry in known}
    linked = [one for one in failed if one.causes and one.sure]
    of_accused = [
        one
        for one in linked
        if one.connection is not None and not accused.isdisjoint(_names_of(by_name[f"c{one.connection}"].connection))
    ]
    for one in of_accused:
        return by_name[f"c{one.causes[-1].connection}"], Telling.CAUSE
    causes = {f"c{one.causes[-1].connection}" for one in linked}
    questions: tuple[tuple[Telling, Callable[[ListedConnection], bool]], ...] = (
        (Telling.ACCUSED, lambda entry: not accused.isdisjoint(_names_of(entry.connection))),
        (Telling.CAUSE, lambda entry: entry.name in causes),
        (Telling.FAILED, lambda entry: entry.failed > 0),
        (
            Telling.CLOSE_WAIT,
            lambda entry: any(state is TcpState.CLOSE_WAIT for state, _ in entry.left),
        ),
        (Telling.BY_SERVER, lambda entry: entry.closed and _by_server(entry.connection)),
        (Telling.CLOSED, lambda entry: entry.closed),
    )
    for why, question in questions:
        found = next((entry for entry in known if question(entry)), None)
        if found is not None:
            return found, why
    return known[0], Telling.FIRST


def _names_of(connection: Connection) -> frozenset[_Name]:
    """What evidence can name it by: its sockets, or the client's address, as either end has it."""
    sockets = {(end.node, end.sk) for end in connection.ends}
    return frozenset(sockets | {connection.client_pair[0], connection.server_pair[1]})


def _by_server(connection: Connection) -> bool:
    return connection.closing.first_closer is not None and connection.closing.side is Side.SERVER


_Name = str | tuple[str, str]
"""An address, or the node and `sk` of a socket."""


def _accused(verdicts: Iterable[Verdict]) -> frozenset[_Name]:
    """The sockets and addresses in the evidence of what failed."""
    items = [
        item
        for verdict in verdicts
        if verdict.outcome is Outcome.FAIL
        for fact in verdict.facts
        if fact.outcome is Outcome.FAIL
        for item in fact.evidence
    ]
    names: set[_Name] = set()
    for item in items:
        names |= sockets_of(item) | addresses_of(item)
    return frozenset(names)


def concerns(failure: Failure, name: str) -> bool:
    """Whether a request failed on the connection of that name, or by what became of it."""
    return name in {f"c{number}" for number in (failure.connection, *(cause.connection for cause in failure.causes))}
