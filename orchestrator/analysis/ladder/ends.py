"""The two ends of a connection as lives: which state each went through, and when it changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from orchestrator.analysis.ladder.notes import Party
from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import Connection, Side, Socket
from orchestrator.tcp.lifecycle import EMBRYONIC, PASSIVE_CLOSE
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_S = TcpState

GOT_FIN = frozenset({_S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING, _S.TIME_WAIT})
"""States of an end to which its peer's FIN has come."""


@record
class Change:
    """One end goes from state `was` (CLOSED: not there before) to `state` inside [after, before]."""

    side: Side
    was: TcpState
    state: TcpState
    after: float
    before: float
    since: tuple[float, float] = (-math.inf, -math.inf)
    """The interval in which it had entered `was`."""

    @property
    def lasted(self) -> tuple[float, float]:
        """Shortest and longest possible stay in `was`, seconds."""
        return max(0.0, self.after - self.since[1]), self.before - self.since[0]


@record
class Life:
    """One end of the connection; `socket` is None when it was never seen."""

    side: Side
    node: str | None
    socket: Socket | None
    changes: tuple[Change, ...]
    states: frozenset[TcpState]

    @property
    def party(self) -> Party:
        return Party(self.side, self.node)

    @property
    def initial(self) -> TcpState | None:
        """The state in which the recording found it; None when it saw it come, or never saw it."""
        return self.socket.intervals[0].state if self.socket and birth(self.socket)[0] == -math.inf else None

    def into(self, states: Iterable[TcpState]) -> Change | None:
        """The change that led into one of the states for the first time."""
        found = frozenset(states)
        return next((one for one in self.changes if one.state in found and one.was not in found), None)

    def at(self, t: float) -> TcpState | None:
        """The state that it had reached by `t`; None when it was not there yet, or never seen."""
        reached = [change.state for change in self.changes if change.before <= t]
        return reached[-1] if reached else self.initial

    @property
    def passive(self) -> bool:
        """Whether its peer's FIN came before it sent one."""
        return bool(self.states & PASSIVE_CLOSE)

    @property
    def up(self) -> bool:
        """Whether its handshake was finished."""
        return bool(self.states - EMBRYONIC)


def lives(connection: Connection, until: float) -> tuple[Life, Life]:
    """Client and server. What may have happened after `until` is left out: it belongs to the taking down."""
    return (
        _life(Side.CLIENT, connection.client_node, connection.client, until),
        _life(Side.SERVER, connection.server_node, connection.server, until),
    )


def _life(side: Side, node: str | None, socket: Socket | None, until: float) -> Life:
    found = tuple(_changes(side, socket, until)) if socket else ()
    begun = {socket.intervals[0].state} if socket and socket.intervals[0].first <= until else set()
    return Life(side, node, socket, found, frozenset({one.state for one in found} | begun) - {_S.CLOSED})


def _changes(side: Side, socket: Socket, until: float) -> Iterator[Change]:
    since = birth(socket)
    if since[0] > -math.inf and since[1] <= until:
        yield Change(side, _S.CLOSED, socket.intervals[0].state, *since)
    for one, two in pairwise(socket.intervals):
        if two.first > until:
            return
        yield Change(side, one.state, two.state, one.last, two.first, since)
        since = (one.last, two.first)
    last = socket.intervals[-1]
    if death(socket) <= until:
        yield Change(side, last.state, _S.CLOSED, last.last, death(socket), since)
