"""What became of the connections that a proxy opened: which of them can have failed a request that went through it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from orchestrator.analysis.silence import Silence, silence
from orchestrator.analysis.timers import Timer, Timers, fitting, timers_of
from orchestrator.history.model import ClosingKind, Connection, History, Side
from orchestrator.recording.events import begun
from orchestrator.tcp.addresses import split_address
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record

_BEFORE = 0.05
"""Seconds: what closed a connection just before a request may have crossed it."""

_AFTER = 0.1
"""Seconds: a proxy whose client gives up closes its own connection a little later."""

_AT_ONCE = 0.05
"""Seconds: a server that closes so soon after its answer had announced that."""

_HOPS = 4


class CauseKind(StrEnum):
    """What became of a proxy's connection."""

    REFUSED = "refused"
    """Its SYN was answered with a RST."""
    UNANSWERED_SYN = "unanswered_syn"
    """It was never established: nothing answered its SYN."""
    RESET = "reset"
    """The server's end, or something in its name, reset it."""
    CLOSED = "closed"
    """The server's end closed it first."""
    ABANDONED = "abandoned"
    """The proxy closed it while it waited for an answer."""
    GAVE_UP = "gave_up"
    """A kernel gave it up: nothing was acknowledged any more."""


@record
class Cause(Data):
    """What became of one connection of a proxy while a request through it was under way. Times in seconds."""

    connection: int
    """Its place among the connections of the run, from 1: c1, c2, ..."""
    kind: CauseKind
    client: str
    """The node that had opened it."""
    server: str
    """The node that it led to, or an address of no node."""
    by: str | None
    """Who refused, reset, closed or gave up; null where the recording does not show it."""
    t: float
    """When, at the latest."""
    least: float | None
    """How long it had been silent, at least; null where that is not known, or it carried nothing."""
    most: float | None
    """At most."""
    unanswered: bool
    """Whether that was a wait for an answer, and no idleness."""
    timer: Timer | None
    """The timer of whoever closed it that fits; null where none does."""
    reason: str
    """The server's own reason for closing, where it is one of ours and says so; else empty."""


class NextHops:
    """The connections that each node opened, and what became of them."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._timers: Timers = timers_of(history)
        self._opened: dict[str, list[tuple[int, Connection]]] = defaultdict(list)
        for number, connection in enumerate(history.connections, 1):
            if connection.client_node is not None:
                self._opened[connection.client_node].append((number, connection))
        self._ended: dict[str, tuple[list[float], list[Cause]]] = {}
        self._reasons: dict[tuple[str, object, object], str] = {
            (event["node"], event.get("local"), event.get("peer")): str(event["reason"]) for event in history.closed
        }

    def causes(self, proxy: str, began: float, ended: float) -> tuple[tuple[Cause, ...], bool]:
        """What became of connections of the proxy, or of those behind it, while a request was under way; and whether
        that was the only one."""
        hop = {proxy}
        for _ in range(_HOPS):
            found = [cause for node in sorted(hop) for cause in self._of(node, began, ended)]
            found = found or [
                cause for node in sorted(hop) for cause in self._of(node, began - _BEFORE, ended + _AFTER)
            ]
            if found:
                return tuple(found), self._alone(began, ended)
            hop = {
                connection.server_node
                for node in hop
                for _, connection in self._opened.get(node, ())
                if connection.server_node is not None and connection.server_node in self._opened
            } - {proxy}
            if not hop:
                break
        return (), True

    def _of(self, node: str, after: float, before: float) -> Sequence[Cause]:
        if node not in self._ended:
            causes = sorted(self._all(node), key=lambda cause: cause.t)
            self._ended[node] = [cause.t for cause in causes], causes
        times, causes = self._ended[node]
        return causes[bisect_left(times, after) : bisect_right(times, before)]

    @cached_property
    def _under_way(self) -> tuple[list[float], list[float]]:
        """When the requests of all clients began, and when they ended, each in order."""
        requests = self._history.requests
        return sorted(map(begun, requests)), sorted(float(one["t"]) for one in requests)

    def _alone(self, began: float, ended: float) -> bool:
        """Whether one request alone was under way then, of all clients."""
        starts, ends = self._under_way
        return bisect_right(starts, ended) - bisect_left(ends, began) <= 1

    def _all(self, node: str) -> Iterator[Cause]:
        for number, connection in self._opened.get(node, ()):
            found = _fate(connection, self._history)
            if found is not None:
                yield self._cause(number, connection, found)

    def _cause(self, number: int, connection: Connection, fate: _Fate) -> Cause:
        kind, t, before = fate
        closing, client = connection.closing, connection.client_node or ""
        server = connection.server_node or split_address(connection.server_pair[0])[0]
        own = closing.side is Side.SERVER and closing.by == connection.server_node
        reason = self._reasons.get((server, *connection.server_pair), "") if own else ""
        return Cause(
            connection=number,
            kind=kind,
            client=client,
            server=server,
            by=closing.gave_up if kind is CauseKind.GAVE_UP else closing.by,
            t=t,
            least=None if before is None else before.least,
            most=None if before is None else before.most,
            unanswered=before is not None and before.unanswered,
            timer=None if reason else self._timer(connection, before),
            reason=reason,
        )

    def _timer(self, connection: Connection, before: Silence | None) -> Timer | None:
        side = connection.closing.side
        if before is None or side is None:
            return None
        node = connection.client_node if side is Side.CLIENT else connection.server_node
        if connection.closing.by != node:
            return None
        return fitting(self._timers, node, side, before.least, before.most, unanswered=before.unanswered)


class _Fate(NamedTuple):
    kind: CauseKind
    t: float
    before: Silence | None
    """How long it had been silent; None for one that carried nothing."""


def _fate(connection: Connection, history: History) -> _Fate | None:
    """What became of it that can fail a request, and when; None for one that is open, or ended as it should."""
    closing = connection.closing
    at = math.inf if closing.at is None else closing.at[1]
    if at > history.until:
        return None
    if not connection.established:
        if closing.kind is ClosingKind.RST:
            return _Fate(CauseKind.REFUSED, at, None)
        return _Fate(CauseKind.UNANSWERED_SYN, at, None) if closing.gave_up else None
    if closing.kind is ClosingKind.TIMEOUT:
        return _Fate(CauseKind.GAVE_UP, at, silence(connection, history))
    if closing.kind not in (ClosingKind.FIN, ClosingKind.RST) or closing.side is None:
        return None
    before = silence(connection, history)
    if closing.side is Side.CLIENT:
        return _Fate(CauseKind.ABANDONED, at, before) if before is not None and before.unanswered else None
    if closing.kind is ClosingKind.RST:
        return _Fate(CauseKind.RESET, at, before)
    if before is not None and not before.unanswered and before.most < _AT_ONCE:
        return None
    # A proxy that had not noticed the FIN writes into the connection, and gets a RST: that is when its request fails.
    noticed = next((float(reset["t"]) for reset in connection.resets if float(reset["t"]) >= at), None)
    waited = connection.client is not None and any(
        stay.state is TcpState.CLOSE_WAIT and noticed is not None and stay.last >= noticed - _BEFORE
        for stay in connection.client.intervals
    )
    return _Fate(CauseKind.CLOSED, noticed if noticed is not None and waited else at, before)
