"""What went over the wire between the two ends of a connection, as far as the states of both prove it (RFC 9293, 3.5
and 3.6). Nothing is drawn that nothing proves:

- ESTABLISHED at an end proves the segments of the handshake that lead there.
- The first state of an end that only its peer's FIN leads to (CLOSE_WAIT, CLOSING, TIME_WAIT) proves that FIN, and so
  does FIN_WAIT2 of its sender. The first state in which an end has closed (FIN_WAIT1 and what follows, LAST_ACK) proves
  that it sent a FIN, unless data is left in its queue that is not acknowledged: then the FIN comes behind it.
- FIN_WAIT2 proves the ACK of the FIN, and so does a LAST_ACK that ends while the peer is in TIME_WAIT.
- The end of file that a client's program read proves the server's FIN.
- A RST is known from the trace. Without one, from the error that a program got (ECONNRESET, EPIPE), or from an end
  that vanished just when the other node's counter OutRsts rose, and its own did not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder import fins
from orchestrator.analysis.ladder import resets as ladderresets
from orchestrator.analysis.ladder.ends import Change, Life, lives
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.losses import Losses, retransmissions
from orchestrator.analysis.ladder.segment import Segment, near
from orchestrator.analysis.ladder.taken import TakenPackets
from orchestrator.history.closing import FIN_ERRORS
from orchestrator.history.model import ClosingKind, Connection, History, Side
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import ACTIVE_CLOSE, EMBRYONIC
from orchestrator.tcp.states import TcpState

_S = TcpState


def wire_of(
    connection: Connection, history: History, exchanges: Sequence[Exchange], closed: Event | None, until: float
) -> Wire:
    """What went over the wire until `until`. `closed`: the event `closed`, which the server's program
    reports just before it closes."""
    wire = Wire(connection, history, closed, until)
    wire.find_segments(exchanges)
    wire.mark_losses(exchanges)
    wire.join_acks()
    wire.explain_changes()
    return wire


class Wire:
    """The segments of one connection, in the order in which they were sent, with the changes that each explains."""

    def __init__(self, connection: Connection, history: History, closed: Event | None, until: float) -> None:
        self.client, self.server = lives(connection, until)
        self.closing = connection.closed_by(until)
        self.losses = Losses(connection, history, self.client, self.server, until)
        self.taken = TakenPackets(connection, history, until)
        self._connection = connection
        self._via = connection.via
        self._history = history
        self._closed = closed
        self._until = until
        self.handshake: list[Segment] = []
        self.fins: dict[Side, Segment] = {}
        self.acks: dict[Side, Segment] = {}
        """Side whose FIN was acknowledged -> the ACK, which the other side sent; it may be the other side's FIN."""
        self.resets: list[Segment] = []
        self.retransmissions: list[Segment] = []
        self.waiting: dict[Side, int | None] = {}
        """Ends that closed with so many bytes before their FIN that were not acknowledged, when nothing shows that
        the FIN came through soon; None: it is not known how many."""
        self.crossing = False
        """Whether both FINs were under way at the same time."""
        self.unexplained: list[Change] = []
        """Changes that no segment stands for."""

    def find_segments(self, exchanges: Sequence[Exchange]) -> None:
        """All but the ACKs of FINs."""
        history, ends = self._history, (self.client, self.server)
        self.retransmissions = [one for life in ends for one in retransmissions(life, history, self._until)]
        self.resets = list(ladderresets.traced(self._connection, *ends, self._until))
        if not history.exact:
            self.resets += ladderresets.met(exchanges, *ends, history, self._connection)
        self.handshake = list(self._handshake())
        for one, other in (ends, ends[::-1]):
            fin = fins.fin_of(one, other, self._connection, history, self._closed, self.losses)
            if fin.segment is not None:
                self.fins[one.side] = fin.segment
            if fin.waited:
                self.waiting[one.side] = fin.unacknowledged
        if Side.SERVER not in self.fins and not history.exact:
            self.fins |= {fin.sender: fin for fin in self._end_of_file(exchanges)}

    def join_acks(self) -> None:
        """The ACKs of FINs, each of which may be one segment with the other side's FIN."""
        self.crossing = self._crossed()
        self.acks = {side: ack for side in self.fins if (ack := self._ack(side)) is not None}
        for side in Side:
            self._join(side)

    def explain_changes(self) -> None:
        """Give each change of a state to the segment that brought it about."""
        changes = (*self.client.changes, *self.server.changes)
        self.unexplained = [change for change in changes if not self._attach(change)]
        if not self._history.exact:
            self._count_resets()

    def mark_losses(self, exchanges: Sequence[Exchange]) -> None:
        """What got lost on its way."""
        for syn in self.handshake[:1]:
            self.losses.handshake(syn, self.retransmissions, self.resets)
        for side in Side:
            again = [one for one in self.retransmissions if one.flags == Flags.FIN and one.sender is side]
            self.losses.fins(side, [*([self.fins[side]] if side in self.fins else []), *again], self.resets)
            data = [one for one in self.retransmissions if one.flags == Flags.DATA and one.sender is side]
            self.losses.data(data, exchanges if side is Side.CLIENT else ())
        for reset in self.resets:
            self.losses.reset(reset)
        for segment in sorted((*self.segments, *self.retransmissions), key=lambda one: one.before):
            self.taken.mark(segment)

    def every_fin_lost(self, side: Side) -> bool:
        """Whether a trace shows that all FINs of a side were sent in vain, and no RST came."""
        again = [one for one in self.retransmissions if one.flags == Flags.FIN and one.sender is side]
        sent = [*([self.fins[side]] if side in self.fins else []), *again]
        reset = any(one.sender is side.other and not one.lost for one in self.resets)
        return self._history.exact and bool(sent) and all(one.lost for one in sent) and not reset

    def life(self, side: Side) -> Life:
        return self.client if side is Side.CLIENT else self.server

    @property
    def segments(self) -> list[Segment]:
        """In the order of their causes."""
        first = min(self.fins, key=lambda side: (side is not self.first, self.fins[side].before), default=None)
        sides = [first, first.other] if first else []
        closing = [found[side] for side in sides for found in (self.fins, self.acks) if side in found]
        return list(dict.fromkeys([*self.handshake, *closing, *self.resets]))

    @property
    def first(self) -> Side | None:
        """The side that sent the first FIN, where the recording shows it."""
        return self.closing.side if self.closing.kind is ClosingKind.FIN else None

    # -- opening ---------------------------------------------------------------------------------------------------

    def _handshake(self) -> Iterator[Segment]:
        births = [
            change for life in (self.client, self.server) for change in life.changes[:1] if change.was is _S.CLOSED
        ]
        if not births or self.client.initial or self.server.initial:
            return
        begun = self.client.changes[0] if self.client.changes else births[0]
        yield Segment(Flags.SYN, Side.CLIENT, begun.after, min(change.before for change in births))
        answered = [life for life in (self.client, self.server) if life.up]
        heard = self.client.into(frozenset(TcpState) - EMBRYONIC - {_S.CLOSED})
        joined = self.server.into(frozenset(TcpState) - EMBRYONIC - {_S.CLOSED})
        if answered or _S.SYN_RECV in self.server.states:
            answer = heard or births[-1]
            before = min(change.before for change in (answer, joined) if change)
            yield Segment(Flags.SYN_ACK, Side.SERVER, min(answer.after, before), before)
        if answered:
            after = heard.after if heard else begun.after
            before = joined.before if joined else heard.before if heard else begun.before
            yield Segment(Flags.ACK, Side.CLIENT, min(after, before), before)

    # -- closing ---------------------------------------------------------------------------------------------------

    def _end_of_file(self, exchanges: Sequence[Exchange]) -> Iterator[Segment]:
        """The server's FIN, when a client read the end of file, and no RST can have looked like one."""
        reported = float(self._closed["t"]) if self._closed else -math.inf
        for exchange in exchanges:
            if exchange.error in FIN_ERRORS and exchange.met <= FIN_ERRORS:
                after = reported if reported <= exchange.done else exchange.began
                yield Segment(Flags.FIN, Side.SERVER, max(after, self._open_until(exchange.began)), exchange.done)
                return

    def _open_until(self, t: float) -> float:
        """Until when the server's end was surely open, `t` at most."""
        gone = self.server.into({_S.CLOSED})
        return min(t, gone.after) if gone else -math.inf

    def _crossed(self) -> bool:
        """Whether both FINs were under way at the same time."""
        if len(self.fins) < 2 or self.closing.kind is not ClosingKind.SIMULTANEOUS:
            return False
        if any(fin.lost or fin.sender in self.waiting for fin in self.fins.values()):
            return False
        if _S.CLOSING in self.client.states | self.server.states:
            return True
        return all(life.states & ACTIVE_CLOSE and not life.passive for life in (self.client, self.server))

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
        return Segment(Flags.ACK, side.other, max(got.after, min(self.fins[side].after, got.before)), got.before)

    def _join(self, side: Side) -> None:
        """One segment, when the ACK of this side's FIN did not come before the other side had sent its own FIN."""
        ack, fin = self.acks.get(side), self.fins.get(side.other)
        waited = _S.FIN_WAIT2 in self.life(side).states
        if (
            ack
            and fin
            and not fin.lost
            and waited
            and not self.crossing
            and ack.after >= fin.after
            and ack.before > fin.before
        ):
            fin.flags = Flags.FIN_ACK
            self.acks[side] = fin

    # -- resets ----------------------------------------------------------------------------------------------------

    def _count_resets(self) -> None:
        """Ends that vanished while the counters say that one of the nodes sent a RST."""
        for change in list(self.unexplained):
            reset = ladderresets.counted(self._history, change, (self.client, self.server), self.resets)
            if reset is None:
                continue
            if reset not in self.resets:
                self.resets.append(reset)
            reset.changes.append(change)
            self.unexplained.remove(change)

    # -- what explains a change ------------------------------------------------------------------------------------

    def _attach(self, change: Change) -> bool:
        """Give a change to the segment that brought it about; False when there is none at that time."""
        segment = self._cause(change)
        if segment is None or not near(segment, change):
            return False
        segment.changes.append(change)
        return True

    def _cause(self, change: Change) -> Segment | None:
        side, state = change.side, change.state
        match state:
            case _S.SYN_SENT if change.was is _S.CLOSED:
                return self._opening(Flags.SYN)
            case _S.SYN_RECV if change.was is _S.CLOSED:
                return self._that_came(self._opening(Flags.SYN), change)
            case _S.ESTABLISHED:
                return self._opening(Flags.SYN_ACK if side is Side.CLIENT else Flags.ACK)
            case _S.FIN_WAIT1 | _S.LAST_ACK:
                fin = self.fins.get(side)
                return None if fin is not None and fins.went_later(fin, change) else fin
            case _S.FIN_WAIT2:
                return self.acks.get(side)
            case _S.CLOSE_WAIT | _S.CLOSING:
                return self._that_came(self.fins.get(side.other), change)
            case _S.TIME_WAIT:
                acknowledged = self.acks.get(side) if change.was is _S.CLOSING else None
                return acknowledged or self._that_came(self.fins.get(side.other), change)
            case _S.CLOSED:
                reset = next((one for one in self.resets if near(one, change) and not self._missed(one, change)), None)
                if reset is not None:
                    return reset
                return None if change.was in (_S.TIME_WAIT, _S.FIN_WAIT2) else self.acks.get(side)
        return None

    def _that_came(self, first: Segment | None, change: Change) -> Segment | None:
        """Of a segment that was sent several times, the one that brought a change about."""
        if first is None or not first.lost:
            return first
        again = [one for one in self.retransmissions if one.sender is first.sender and one.flags is first.flags]
        came = [one for one in again if not one.lost and one.after <= change.before]
        return came[-1] if came else first

    @staticmethod
    def _missed(reset: Segment, change: Change) -> bool:
        """Whether a RST got lost on its way to this end."""
        return reset.lost and change.side is not reset.sender

    def _opening(self, flags: Flags) -> Segment | None:
        return next((segment for segment in self.handshake if segment.flags == flags), None)
