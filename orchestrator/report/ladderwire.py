"""What went over the wire between the two ends of a connection, as far as the states of both prove it (RFC 9293, 3.5
and 3.6). Nothing is drawn that nothing proves:

- ESTABLISHED at an end proves the segments of the handshake that lead there.
- The first state in which an end has sent its FIN (FIN_WAIT1 and what follows, LAST_ACK) proves that FIN; so does the
  first state of its peer that only a FIN leads to (CLOSE_WAIT, CLOSING, TIME_WAIT).
- FIN_WAIT2 proves the ACK of the FIN, and so does a LAST_ACK that ends while the peer is in TIME_WAIT.
- A RST is known from the trace. Without one, from the error that a program got (ECONNRESET, EPIPE), or from an end
  that vanished just when the other node's counter OutRsts rose, and its own did not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from orchestrator.recording.connections import birth, death
from orchestrator.recording.counters import Counters
from orchestrator.recording.history import Connection, History, Socket
from orchestrator.recording.lifecycle import ACTIVE_CLOSE, EMBRYONIC, PASSIVE_CLOSE
from orchestrator.report.ladder import Side
from orchestrator.report.ladderrequests import Exchange
from orchestrator.scenario.facts import TcpState

_S = TcpState
_SENT_FIN = frozenset({_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSING, _S.TIME_WAIT, _S.LAST_ACK})
_GOT_FIN = frozenset({_S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING, _S.TIME_WAIT})

_RESET_ERRORS = ("ConnectionResetError", "BrokenPipeError")
_UNDER_WAY = 0.25
"""Seconds within which a segment and what it brings about are shown as one."""


@dataclass(frozen=True, slots=True)
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


@dataclass(slots=True, eq=False)
class Segment:
    """A segment that one end sent inside [after, before], and the changes at either end that it stands for."""

    flags: str
    sender: Side
    after: float
    before: float
    note: str = ""
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Life:
    """One end of the connection; `socket` is None when it was never seen."""

    side: Side
    node: str | None
    socket: Socket | None
    changes: tuple[Change, ...]
    states: frozenset[TcpState]

    @property
    def initial(self) -> TcpState | None:
        """The state in which the recording found it; None when it saw it come, or never saw it."""
        return self.socket.stays[0].state if self.socket and birth(self.socket)[0] == -math.inf else None

    def into(self, states: Iterable[TcpState]) -> Change | None:
        """The change that led into one of the states for the first time."""
        found = frozenset(states)
        return next((one for one in self.changes if one.state in found and one.was not in found), None)

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
    begun = {socket.stays[0].state} if socket and socket.stays[0].first <= until else set()
    return Life(side, node, socket, found, frozenset({one.state for one in found} | begun) - {_S.CLOSED})


def _changes(side: Side, socket: Socket, until: float) -> Iterator[Change]:
    since = birth(socket)
    if since[0] > -math.inf and since[1] <= until:
        yield Change(side, _S.CLOSED, socket.stays[0].state, *since)
    for one, two in pairwise(socket.stays):
        if two.first > until:
            return
        yield Change(side, one.state, two.state, one.last, two.first, since)
        since = (one.last, two.first)
    last = socket.stays[-1]
    if death(socket) <= until:
        yield Change(side, last.state, _S.CLOSED, last.last, death(socket), since)


class Wire:
    """The segments of one connection, in the order in which they were sent, with the changes that each explains.

    `unexplained` are the changes that no segment stands for.
    """

    def __init__(
        self, connection: Connection, history: History, exchanges: Sequence[Exchange], said: float | None, until: float
    ) -> None:
        """`said`: when the server's program said that it closes, if it did."""
        self.client, self.server = lives(connection, until)
        self._connection = connection
        self._history = history
        self._said = said
        self.handshake = list(self._handshake())
        self.fins: dict[Side, Segment] = {}
        for one, other in ((self.client, self.server), (self.server, self.client)):
            fin = self._fin(one, other)
            if fin is not None:
                self.fins[one.side] = fin
        self.crossing = self._crossed()
        self.acks = {side: ack for side in self.fins if (ack := self._ack(side)) is not None}
        """Side whose FIN was acknowledged -> the ACK, which the other side sent."""
        self.resets = list(self._resets(exchanges, until))
        self._fin_into_nothing()
        self.unexplained = [
            change for change in (*self.client.changes, *self.server.changes) if not self._attach(change)
        ]
        if not history.exact:
            self._count_resets()

    def life(self, side: Side) -> Life:
        return self.client if side is Side.CLIENT else self.server

    @property
    def segments(self) -> list[Segment]:
        """In the order of their causes."""
        first = min(self.fins, key=lambda side: (side not in self._first, self.fins[side].before), default=None)
        sides = [first, first.other] if first else []
        closing = [found[side] for side in sides for found in (self.fins, self.acks) if side in found]
        return [*self.handshake, *closing, *self.resets]

    @property
    def _first(self) -> list[Side]:
        """The side that closed first, where that is known."""
        closer = self._connection.first_closer
        return [life.side for life in (self.client, self.server) if closer is not None and life.node == closer][:1]

    # -- opening ---------------------------------------------------------------------------------------------------

    def _handshake(self) -> Iterator[Segment]:
        births = [
            change for life in (self.client, self.server) for change in life.changes[:1] if change.was is _S.CLOSED
        ]
        if not births or self.client.initial or self.server.initial:
            return
        begun = self.client.changes[0] if self.client.changes else births[0]
        yield Segment("SYN", Side.CLIENT, begun.after, min(change.before for change in births))
        answered = [life for life in (self.client, self.server) if life.up]
        heard = self.client.into(frozenset(TcpState) - EMBRYONIC - {_S.CLOSED})
        joined = self.server.into(frozenset(TcpState) - EMBRYONIC - {_S.CLOSED})
        if answered or _S.SYN_RECV in self.server.states:
            until = min((change.before for change in (heard, joined) if change), default=births[-1].before)
            yield Segment("SYN+ACK", Side.SERVER, begun.after, max(until, begun.after))
        if answered:
            after = heard.after if heard else begun.after
            before = joined.before if joined else heard.before if heard else begun.before
            yield Segment("ACK", Side.CLIENT, min(after, before), before)

    # -- closing ---------------------------------------------------------------------------------------------------

    def _fin(self, sender: Life, receiver: Life) -> Segment | None:
        own, far = sender.into(_SENT_FIN), receiver.into(_GOT_FIN)
        if far is not None and own is None:
            # The sender went through its closing states between two samples.
            own = next((one for one in sender.changes if one.state is _S.CLOSED and one.was not in _SENT_FIN), None)
        known = own or far
        if known is None:
            return None
        after, before = known.after, known.before
        if own is not None and far is not None:
            # Two nodes are sampled one after the other, so the receiver may seem to be first.
            after, before = (after, min(before, far.before)) if far.before > after else (far.after, before)
        if sender.side is Side.SERVER and self._said is not None and after <= self._said <= before:
            after = self._said
        return Segment("FIN", sender.side, after, before)

    def _crossed(self) -> bool:
        """Whether both FINs were under way at the same time."""
        if len(self.fins) < 2 or self._connection.first_closer is not None:
            return False
        if _S.CLOSING in self.client.states | self.server.states:
            return True
        return all(
            life.states & ACTIVE_CLOSE and not life.states & PASSIVE_CLOSE for life in (self.client, self.server)
        )

    def _ack(self, side: Side) -> Segment | None:
        """The ACK of this side's FIN."""
        life, other = self.life(side), self.life(side.other)
        got = life.into({_S.FIN_WAIT2})
        if got is None:
            got = next((one for one in life.changes if one.was is _S.CLOSING and one.state is _S.TIME_WAIT), None)
        if got is None and _S.TIME_WAIT in other.states:
            got = next((one for one in life.changes if one.state is _S.CLOSED and one.was is not _S.TIME_WAIT), None)
        if got is None:
            return None
        return Segment("ACK", side.other, max(got.after, min(self.fins[side].after, got.before)), got.before)

    # -- resets ----------------------------------------------------------------------------------------------------

    def _resets(self, exchanges: Sequence[Exchange], until: float) -> Iterator[Segment]:
        """Those that the trace shows; without a trace, those that a program met."""
        sockets = [life.socket for life in (self.client, self.server) if life.socket]
        pairs = {(end.local, end.peer) for end in sockets} | {(end.peer, end.local) for end in sockets}
        begun, ended = min(birth(end)[0] for end in sockets), max(map(death, sockets)) + _UNDER_WAY
        for event in self._history.resets:
            t = float(event["t"])
            if (event["local"], event["peer"]) in pairs and begun <= t <= min(ended, until):
                reason = str(event.get("reason") or "").replace("_", " ").lower()
                sender = Side.CLIENT if event["local"] == sockets[0].local else Side.SERVER
                if not self.client.socket:
                    sender = sender.other
                yield Segment("RST", sender, t, t, f"the kernel's reason: {reason}" if reason else "")
        if self._history.exact:
            return
        for exchange in exchanges:
            if exchange.met & set(_RESET_ERRORS):
                gone = self.client.into({_S.CLOSED})
                after = exchange.asked if gone is None else max(exchange.asked, gone.after)
                before = exchange.done if gone is None else min(exchange.done, gone.before)
                if after > before:
                    after, before = exchange.asked, exchange.done
                yield Segment("RST", Side.SERVER, after, before)
                return

    def _fin_into_nothing(self) -> None:
        """An end that leaves CLOSE_WAIT for a RST of the peer had sent something: its FIN, when no request failed."""
        for reset in [one for one in self.resets if not one.note or self._history.exact]:
            life = self.life(reset.sender.other)
            gone = life.into({_S.CLOSED})
            if gone is not None and gone.was is _S.CLOSE_WAIT and life.side not in self.fins and _near(reset, gone):
                self.fins[life.side] = Segment("FIN", life.side, gone.after, min(gone.before, reset.before))

    def _count_resets(self) -> None:
        """Ends that vanished while the counters say that one of the nodes sent a RST."""
        counters = Counters(self._history.counters)
        period = float(self._history.begin.get("period", 0.05))
        for change in list(self.unexplained):
            if change.state is not _S.CLOSED or change.was in (_S.TIME_WAIT, _S.FIN_WAIT2):
                continue
            rose = [
                life
                for life in (self.client, self.server)
                if life.node and counters.rise(life.node, "OutRsts", change.after - period, change.before + period)
            ]
            if len(rose) != 1:
                continue
            reset = next((one for one in self.resets if one.sender is rose[0].side and _near(one, change)), None)
            if reset is None:
                note = f"OutRsts of {rose[0].node} rose"
                reset = Segment("RST", rose[0].side, change.after, change.before, note)
                self.resets.append(reset)
            reset.changes.append(change)
            self.unexplained.remove(change)
            if change.was is _S.CLOSE_WAIT and change.side is not reset.sender and change.side not in self.fins:
                self.fins[change.side] = Segment("FIN", change.side, change.after, change.before)

    # -- what explains a change ------------------------------------------------------------------------------------

    def _attach(self, change: Change) -> bool:
        """Give a change to the segment that brought it about; False when there is none at that time."""
        segment = self._cause(change)
        if segment is None or not _near(segment, change):
            return False
        segment.changes.append(change)
        return True

    def _cause(self, change: Change) -> Segment | None:
        side, state = change.side, change.state
        match state:
            case _S.SYN_SENT | _S.SYN_RECV:
                return self._opening("SYN")
            case _S.ESTABLISHED:
                return self._opening("SYN+ACK" if side is Side.CLIENT else "ACK")
            case _S.FIN_WAIT1 | _S.LAST_ACK:
                return self.fins.get(side)
            case _S.FIN_WAIT2:
                return self.acks.get(side)
            case _S.CLOSE_WAIT | _S.CLOSING:
                return self.fins.get(side.other)
            case _S.TIME_WAIT:
                return (self.acks.get(side) if change.was is _S.CLOSING else None) or self.fins.get(side.other)
            case _S.CLOSED:
                reset = next((one for one in self.resets if _near(one, change)), None)
                if reset is not None:
                    return reset
                return None if change.was in (_S.TIME_WAIT, _S.FIN_WAIT2) else self.acks.get(side)
        return None

    def _opening(self, flags: str) -> Segment | None:
        return next((segment for segment in self.handshake if segment.flags == flags), None)


def _near(segment: Segment, change: Change) -> bool:
    """Whether they overlap, or nearly so."""
    return segment.after - _UNDER_WAY <= change.before and change.after <= segment.before + _UNDER_WAY
