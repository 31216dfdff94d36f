"""What happened to one connection, from every source of the recording, in order of time."""

from __future__ import annotations

import math
from collections.abc import Iterable

from orchestrator.recording.connections import birth, death
from orchestrator.recording.history import Connection, History, MinisocketEnd
from orchestrator.report.exchanges import Exchange, Said
from orchestrator.report.ladder import Kind, Side
from orchestrator.report.ladderlife import Change, Life
from orchestrator.report.ladderorder import Item, Order
from orchestrator.report.ladderqueues import standing_queues
from orchestrator.report.ladderwire import FIN_ERRORS, RST_ERRORS, Segment, Wire
from orchestrator.report.ladderwords import duration
from orchestrator.scenario.facts import TcpState

_S = TcpState

ARRIVES = "arrives"

_STEPS = 8
"""More steps than these inside one connection are not shown: the ladder is about the connection."""

_QUEUES = 6
"""Rows about queues of one end."""

_NEAR = 0.5
"""Seconds between what the server says about closing and the FIN that it means."""

_TIME_WAIT = 59.9
"""A TIME_WAIT that was shorter than this, in seconds, was cut short."""


def end_of(history: History) -> float:
    """Until when the story goes: the moment `end`, or the last sample of a run that did not get there."""
    return history.moments.get("end", history.ticks[-1] if history.ticks else 0.0)


class Items:
    """Collects the items of one connection. `items` has them in order when it is made."""

    def __init__(self, connection: Connection, history: History, said: Said) -> None:
        self.until = end_of(history)
        self.history = history
        self._gave_up = connection.gave_up
        exchanges = [one for one in said.exchanges if min(one.asked, one.served or one.asked) <= self.until]
        self.wire = Wire(connection, history, exchanges, said.closed, self.until)
        self._order = Order()
        self._found: list[Item] = []
        self._of_change: dict[int, Item] = {}
        self._begin()
        self._segments()
        self._exchanges(exchanges)
        self._again()
        self._unexplained()
        self._closed(said)
        self._queues()
        for side in Side:
            self._order.then(*(self._of_change[id(change)] for change in self.wire.life(side).changes))
        self._nodes()
        self._steps()
        self.items = self._order.sort(self._found)

    # -- the wire --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        there = [
            life.socket.stays[0].first
            for life in (self.wire.client, self.wire.server)
            if life.initial is not None and life.socket is not None
        ]
        if there:
            self._add(Item(Kind.BEGIN, min(there), min(there), "already there when the recording begins"))

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
        item = Item(Kind.SEGMENT, segment.after, segment.before, segment.flags, segment.sender)
        item.notes += [segment.note] if segment.note else []
        return self._add(item, segment.changes)

    def _crossing(self, one: Segment, two: Segment) -> Item:
        """Both FINs in one row. What they bring about at the far ends comes later, in rows of its own."""
        opened = (_S.SYN_RECV, _S.ESTABLISHED)
        sent = [change for change in (*one.changes, *two.changes) if change.was in opened]
        item = Item(Kind.CROSSING, min(one.after, two.after), max(one.before, two.before), "FIN")
        self._add(item, sent)
        for change in (*one.changes, *two.changes):
            if change not in sent:
                self._state(change)
        return item

    def _unexplained(self) -> None:
        for change in self.wire.unexplained:
            self._state(change)

    def _state(self, change: Change) -> None:
        socket = self.wire.life(change.side).socket
        names = {side: self.wire.life(side).node or side for side in Side}
        gave_up = self._gave_up == names[change.side]
        text = _explain(change, names, socket.ended_by if socket else None, gave_up=gave_up)
        self._add(Item(Kind.STATE, change.after, change.before, text), [change])

    def _again(self) -> None:
        """Segments sent again, where the trace shows each of them."""
        for life in (self.wire.client, self.wire.server):
            if life.socket is None or life.node is None:
                continue
            begun, ended = birth(life.socket)[0], min(death(life.socket), self.until)
            for event in self.history.retransmits.get(life.node, ()):
                t, pair = float(event["t"]), (event["local"], event["peer"])
                if pair == (life.socket.local, life.socket.peer) and begun <= t <= ended:
                    what = _SENT_AGAIN.get(event["state"], "data")
                    item = self._add(Item(Kind.RETRANSMIT, t, t, f"{what} again", life.side))
                    self._order.then(self._unanswered(item), item)

    def _unanswered(self, again: Item) -> Item | None:
        """The request that this is, sent again."""
        if again.sender is not Side.CLIENT:
            return None
        asked = [one for one in self._found if one.kind is Kind.UNSERVED and one.earliest <= again.before <= one.before]
        return asked[-1] if asked else None

    # -- programs --------------------------------------------------------------------------------------------------

    def _exchanges(self, exchanges: Iterable[Exchange]) -> None:
        server, client = self._fin.get(Side.SERVER), self._fin.get(Side.CLIENT)
        last = self._handshake[-1] if self._handshake else None
        for exchange in exchanges:
            request, answer = self._request(exchange), self._answer(exchange)
            self._order.then(last, request, answer)
            if answer is not None and exchange.told:
                last = answer
                if exchange.met & FIN_ERRORS:
                    self._order.then(server, answer)
                elif exchange.met & RST_ERRORS:
                    self._order.then(*self._resets[:1], answer)
                elif not exchange.error:
                    self._order.then(answer, server)
        self._order.then(last, client)

    def _request(self, exchange: Exchange) -> Item:
        served, kind = exchange.served, Kind.REQUEST
        after, before = exchange.asked, exchange.done
        if served is not None and served <= exchange.done:
            after = before = served
        elif exchange.told and not exchange.status and self.wire.server.node in self.history.speaking:
            kind = Kind.UNSERVED
        item = Item(kind, after, before, exchange.request, Side.CLIENT, exchange=exchange, floor=exchange.asked)
        if served is not None and served > exchange.done:
            late = Item(Kind.PROGRAM, served, served, f"too late: {self.wire.server.node} serves {exchange.request}")
            self._add(late)
            self._order.then(item, late)
        elif kind is Kind.UNSERVED:
            item.notes.append(f"{self.wire.server.node} did not serve it")
        return self._add(item)

    def _answer(self, exchange: Exchange) -> Item | None:
        after = f"after {duration(exchange.done - exchange.asked)}"
        floor = exchange.served if exchange.served is not None and exchange.served <= exchange.done else exchange.asked
        kind, text = Kind.RESPONSE, f"{exchange.status} {after}"
        if exchange.error:
            kind, text = Kind.ERROR, f"{exchange.error} {after}"
            if exchange.status:
                text = f"{exchange.status}, then {text}"
        elif not exchange.status:
            return None
        elif not exchange.told:
            text = exchange.status
        sender = Side.SERVER if kind is Kind.RESPONSE else None
        item = Item(kind, exchange.done, exchange.done, text, sender, exchange=exchange, floor=floor)
        return self._add(item)

    def _closed(self, said: Said) -> None:
        """The server's own reason: at its FIN where that is known, else in a row of its own."""
        if said.closed is None or float(said.closed["t"]) > self.until:
            return
        t = float(said.closed["t"])
        text = f"closed by {self.wire.server.node}: {said.closed['reason']}"
        fin = self._fin.get(Side.SERVER)
        if fin is not None and fin.after - _NEAR <= t <= fin.before + _NEAR:
            fin.notes.append(text)
        else:
            self._add(Item(Kind.PROGRAM, t, t, text))

    # -- queues, nodes, steps --------------------------------------------------------------------------------------

    def _queues(self) -> None:
        for life in (self.wire.client, self.wire.server):
            for number, item in enumerate(standing_queues(life, self.history, self.until)):
                if number < _QUEUES:
                    self._add(item)
                    self._order.then(self._unread(item), item)

    def _unread(self, item: Item) -> Item | None:
        """The request that waits in the server's queue."""
        if item.queue is None or item.queue[0] is not Side.SERVER:
            return None
        asked = [one for one in self._found if one.kind in (Kind.REQUEST, Kind.UNSERVED) and one.exchange]
        waiting = [one for one in asked if one.earliest <= item.before <= one.before]
        return waiting[-1] if waiting else None

    def _nodes(self) -> None:
        ends = {self.wire.client.node, self.wire.server.node}
        first, last = self._span()
        for event in self.history.happened:
            t = float(event["t"])
            if event["node"] in ends and event["what"] in _DONE_TO_NODES and first <= t <= last:
                network = event.get("detail", {}).get("network")
                where = f" ({network})" if network else ""
                self._add(Item(Kind.NODE, t, t, f"{event['node']} is {_DONE_TO_NODES[event['what']]}{where}"))

    def _steps(self) -> None:
        first, last = self._span()
        starts: dict[float, list[str]] = {}
        for name, t in self.history.moments.items():
            step, _, what = name.rpartition(".")
            if step and what == "start":
                starts.setdefault(t, []).append(step)
        begun = max((t for t in starts if t <= first), default=math.inf)
        shown = {t: names for t, names in sorted(starts.items()) if begun <= t <= last and t < self.until}
        if len(shown) <= _STEPS:
            for t, names in shown.items():
                self._add(Item(Kind.STEP, t, t, ", ".join(names)))

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


_SENT_AGAIN = {_S.SYN_SENT: "SYN", _S.SYN_RECV: "SYN+ACK", _S.FIN_WAIT1: "FIN", _S.LAST_ACK: "FIN", _S.CLOSING: "FIN"}
"""State of the sender -> what it sends again; elsewhere it is data."""

_DONE_TO_NODES = {
    "killed": "killed",
    "stopped": "stopped",
    "paused": "paused",
    "resumed": "resumed",
    "link down": "cut off",
    "link up": "linked again",
}


def _gone(life: Life) -> bool:
    return bool(life.changes) and life.changes[-1].state is _S.CLOSED


_CUT_BY = {MinisocketEnd.REUSED: " by a new connection", MinisocketEnd.RESET: " by a RST"}


def _explain(change: Change, names: dict[Side, str], ended_by: MinisocketEnd | None, *, gave_up: bool) -> str:
    """Why a state changed though nothing is known to have been sent at that time."""
    least, most = change.lasted
    match change.was, change.state:
        case (_S.TIME_WAIT, _S.CLOSED) if most < _TIME_WAIT:
            return f"TIME_WAIT cut short after {duration(least, most)}{_CUT_BY.get(ended_by, '') if ended_by else ''}"
        case ((_S.TIME_WAIT | _S.FIN_WAIT2), _S.CLOSED):
            return f"{change.was} is over" + ("" if math.isinf(most) else f" after {duration(least, most)}")
        case _S.ESTABLISHED, _S.CLOSED if gave_up:
            return "gives up: no answer came (ETIMEDOUT)"
        case _S.LAST_ACK, _S.CLOSED:
            return "LAST_ACK is over, by an ACK or a RST"
        case _, _S.CLOSED:
            return "gone, the recording does not show how"
        case _, _S.CLOSE_WAIT | _S.CLOSING | _S.TIME_WAIT:
            return f"the FIN of {names[change.side.other]} {ARRIVES}"
        case _, _S.FIN_WAIT2:
            return f"the ACK of {names[change.side.other]} arrives"
    return ""
