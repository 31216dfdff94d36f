"""What happened to one connection, from every source of the recording, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.analysis.exchanges import Exchange, Reports
from orchestrator.analysis.ladder.ends import Change, Life
from orchestrator.analysis.ladder.exchangeitems import ExchangeItems
from orchestrator.analysis.ladder.explain import explain, is_arrival
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import AlreadyThere, NotTakenUp, OwnAccount, Sent, Unreported
from orchestrator.analysis.ladder.order import Item, Ordering
from orchestrator.analysis.ladder.queues import beside_change, standing_queues
from orchestrator.analysis.ladder.segment import Segment
from orchestrator.analysis.ladder.surroundings import forgotten_items, node_items, step_items
from orchestrator.analysis.ladder.traffic import LATE, came, moved, seen_until, stretches
from orchestrator.analysis.ladder.wire import Wire, wire_of
from orchestrator.analysis.nodata import no_data_since
from orchestrator.history.model import Connection, History, Side
from orchestrator.tcp.states import TcpState

_S = TcpState

SILENCE = 0.3
"""Seconds without anything that make a row of their own."""

_QUEUES = 6
"""Rows about queues of one end."""

_CLOCK = 0.01
"""Seconds: times of two programs may differ by so much."""

_NEAR = 0.5
"""Seconds between what the server says about closing and the FIN that it means."""


def gather(connection: Connection, history: History, reports: Reports) -> Items:
    """What happened to the connection, in order. `reports`: what programs reported of it."""
    until = history.until
    exchanges = [one for one in reports.exchanges if min(one.began, one.served or one.began) <= until]
    found = Items(connection, history, wire_of(connection, history, exchanges, reports.closed, until), reports.raw)
    found.collect(exchanges, reports)
    return found


class Items:
    """The items of one connection; `items` has them in order once they are collected."""

    def __init__(self, connection: Connection, history: History, wire: Wire, raw: bool) -> None:
        self.until = history.until
        self.history = history
        self.wire = wire
        self.items: list[Item] = []
        self._gave_up = connection.closing.gave_up
        self._via = connection.via
        self._connection = connection
        reported = connection.client_node in history.asking or connection.server_node in history.speaking
        self._reported = reported and not raw
        self._order = Ordering()
        self._exchanges: Sequence[Exchange] = ()
        self._found: list[Item] = []
        self._of_change: dict[int, Item] = {}
        self._fin: dict[Side, Item] = {}
        self._handshake: list[Item] = []
        self._resets: list[Item] = []

    def collect(self, exchanges: Sequence[Exchange], reports: Reports) -> None:
        """From every source; those that stand for the same, or follow each other for a reason, are joined."""
        self._exchanges = exchanges
        # Of a connection that no report names, another program may be at the end: one that `exec` has started.
        self._reported = self._reported and (bool(exchanges) or reports.closed is not None)
        self._begin()
        self._segments()
        ExchangeItems(
            self.wire, self.history, self._order, self._add, self._handshake, self._fin, self._resets
        ).collect(exchanges, raw=reports.raw)
        if not exchanges:
            self._unreported()
        self._retransmissions()
        for item in self.wire.taken.rows():
            self._add(item)
        self._unexplained()
        self._closed(reports)
        self._queues()
        for side in Side:
            self._order.then(*(self._of_change[id(change)] for change in self.wire.life(side).changes))
        self._surroundings()
        self.items = self._order.sort(self._found)
        for item in self.items:
            unserved = item.kind is RowKind.UNSERVED or (item.kind is RowKind.REQUEST and item.unproven)
            if unserved and self.wire.losses.cut(item.after, item.before):
                item.lost, item.unproven = True, False

    def quiet(self, after: float, before: float, latest: float | None = None) -> bool | None:
        """Whether no data went over the connection inside (after, before), as the kernel's numbers or the silence of
        programs that report show; None: neither would tell. `latest`: the latest that it may have lasted."""
        if moved((self.wire.client, self.wire.server), after, before):
            return False
        if self._reported:
            return True
        end = before if latest is None else latest
        if (seen := self.quiet_until(after, before)) is None:
            return None
        return True if end - seen <= _CLOCK or no_data_since(self._connection, self.history, seen, end) else None

    def quiet_until(self, after: float, before: float) -> float | None:
        """Until when, at least, no data went after `after`, as the last sample before `before` shows: what went later
        it cannot show. None: no sample is between them."""
        seen = seen_until((self.wire.client, self.wire.server), self.history, before)
        return seen if seen is not None and seen > after else None

    def answer_begun(self, after: float, before: float) -> bool:
        """Whether a part of the answer that is due at `after` had come by `before`."""
        asked = [one for one in self._exchanges if one.began <= after + _CLOCK]
        if not asked:
            return False
        told = asked[-1].error and asked[-1].status
        return bool(told) or came(self.wire.client, asked[-1].served or asked[-1].began, before) is not None

    def waits_for_the_rest(self, after: float, before: float) -> bool:
        """Whether that silence was one inside of an answer: one that came at its end, and whose program was a little
        late to report it, was not."""
        return self.answer_begun(after, before - LATE)

    # -- the wire --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        there = [
            life.socket.intervals[0].first
            for life in (self.wire.client, self.wire.server)
            if life.initial is not None and life.socket is not None
        ]
        if there:
            self._add(Item(RowKind.BEGIN, min(there), min(there), AlreadyThere()))

    def _segments(self) -> None:
        self._handshake = [self._segment(segment) for segment in self.wire.handshake]
        self._order.then(*self._handshake)
        fins, acks = self.wire.fins, self.wire.acks
        if self.wire.crossing:
            crossed = self._crossing(fins[Side.CLIENT], fins[Side.SERVER])
            self._fin = dict.fromkeys(Side, crossed)
        else:
            self._fin = {one.sender: self._segment(one) for one in self.wire.segments if one in fins.values()}
        for side, item in self._fin.items():
            if side in acks and acks[side] not in fins.values():
                self._order.then(item, self._segment(acks[side]))
        closing = [self._fin[one.sender] for one in self.wire.segments if one in fins.values()]
        self._order.then(*self._handshake[-1:], *closing)
        self._resets = [self._segment(segment) for segment in self.wire.resets]
        for item in self._resets:
            assert item.sender is not None
            self._order.then(self._fin.get(item.sender), item)
            victim = self._fin.get(item.sender.other)
            if victim is not None and victim.changes == []:  # inferred from this RST
                self._order.then(victim, item)

    def _segment(self, segment: Segment) -> Item:
        kind = RowKind.RETRANSMIT if segment.retransmission else RowKind.SEGMENT
        item = Item(
            kind,
            segment.after,
            segment.before,
            Sent(segment.flags, again=segment.retransmission),
            segment.sender,
            lost=segment.lost,
            by=segment.by,
            flags=segment.flags,
        )
        item.notes += [segment.note] if segment.note else []
        if (
            segment.lost
            and segment.note is None
            and segment.flags == Flags.SYN
            and not self.wire.losses.cut(segment.after, segment.before)
        ):
            item.notes.append(NotTakenUp(self.wire.server.node))
        return self._add(item, segment.changes)

    def _crossing(self, one: Segment, two: Segment) -> Item:
        """Both FINs in one row. What they bring about at the far ends comes later, in rows of its own."""
        opened = (_S.SYN_RECV, _S.ESTABLISHED)
        sent = [change for change in (*one.changes, *two.changes) if change.was in opened]
        item = Item(
            RowKind.CROSSING,
            min(one.after, two.after),
            max(one.before, two.before),
            Sent(Flags.FIN),
            flags=Flags.FIN,
        )
        self._add(item, sent)
        for change in (*one.changes, *two.changes):
            if change not in sent:
                self._state(change)
        return item

    def _unexplained(self) -> None:
        for change in self.wire.unexplained:
            self._state(change)

    def _state(self, change: Change) -> None:
        why = explain(change, self.wire, gave_up=self._gave_up == self.wire.life(change.side).node)
        self._add(Item(RowKind.STATE, change.after, change.before, why, arrives=is_arrival(change)), [change])

    def _retransmissions(self) -> None:
        """Retransmissions, where the trace shows each of them."""
        for segment in self.wire.retransmissions:
            item = self._segment(segment)
            if segment.flags == Flags.SYN and len(self._handshake) > 1:
                self._order.then(self._handshake[0], item, self._handshake[1])
            elif segment.flags == Flags.SYN:
                self._order.then(*self._handshake, item)
            elif segment.flags == Flags.FIN:
                self._order.then(self._fin.get(segment.sender), item)
            else:
                self._order.then(self._unanswered(item), item)

    def _unanswered(self, again: Item) -> Item | None:
        """The request of which this is a retransmission."""
        if again.sender is not Side.CLIENT:
            return None
        asked = [
            one for one in self._found if one.kind is RowKind.UNSERVED and one.earliest <= again.before <= one.before
        ]
        return asked[-1] if asked else None

    # -- programs --------------------------------------------------------------------------------------------------

    def _closed(self, reports: Reports) -> None:
        """The server's own reason: at its FIN where that is known, else in a row of its own."""
        if reports.closed is None or float(reports.closed["t"]) > self.until:
            return
        t = float(reports.closed["t"])
        account = OwnAccount(self.wire.server.node, str(reports.closed["reason"]))
        fin = self._fin.get(Side.SERVER)
        if fin is not None and fin.after - _NEAR <= t <= fin.before + _NEAR:
            fin.notes.append(account)
        else:
            self._add(Item(RowKind.PROGRAM, t, t, account))

    def _unreported(self) -> None:
        """Data of which no program tells."""
        ends = (self.wire.client, self.wire.server)
        for one in stretches(ends, self.history, self.until, SILENCE):
            told = Unreported(one.sent, one.received)
            item = Item(RowKind.TRAFFIC, min(one.begun, one.before), one.before, told, floor=one.after)
            self._order.then(*self._handshake[-1:], self._add(item))

    # -- queues, nodes, steps --------------------------------------------------------------------------------------

    def _queues(self) -> None:
        for life in (self.wire.client, self.wire.server):
            for number, item in enumerate(standing_queues(life, self.history, self.until)):
                if number < _QUEUES and not beside_change(life, item, self._of_change):
                    self._add(item)
                    self._order.then(self._waits(item), item)

    def _waits(self, item: Item) -> Item | None:
        """The request that waits in a queue: the client's, or the server's when its program does not read."""
        if item.queue is None or (item.queue[0], item.queue[1][0]) not in _OF_REQUESTS:
            return None
        asked = [one for one in self._found if one.kind in (RowKind.REQUEST, RowKind.UNSERVED) and one.exchange]
        waiting = [one for one in asked if one.earliest <= item.before <= one.before]
        return waiting[-1] if waiting else None

    def _surroundings(self) -> None:
        between = {flow.node for flow in self._via}
        ends = {self.wire.client.node, self.wire.server.node}
        for item in node_items(self.history, ends | between, *self._span()):
            self._add(item)
        for item in forgotten_items(self._via, *self._span()):
            self._add(item)
            for reset in self._resets:
                if reset.by is not None:
                    self._order.then(item, reset)
        for item in step_items(self.history, self.until, *self._span()):
            self._add(item)

    def _span(self) -> tuple[float, float]:
        """From the first thing that happened to the last one, or to the end of the run when an end is left."""
        left = any(life.socket and not _gone(life) for life in (self.wire.client, self.wire.server))
        times = [item.before for item in self._found]
        return min(times, default=0.0), self.until if left else max(times, default=0.0)

    def _add(self, item: Item, changes: Iterable[Change] = ()) -> Item:
        item.changes += changes
        for change in item.changes:
            self._of_change[id(change)] = item
        self._found.append(item)
        return item


_OF_REQUESTS = ((Side.CLIENT, "Send-Q"), (Side.SERVER, "Recv-Q"))


def _gone(life: Life) -> bool:
    return bool(life.changes) and life.changes[-1].state is _S.CLOSED
