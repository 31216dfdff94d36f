"""Requests and answers in a ladder: what the programs at both ends report, and what else shows that it arrived.

What a server began is not what it answered. An answer is drawn when the client reports it, or when the server says that
it has written it. A request is drawn as arriving when its server read it, when it was answered, or when the kernel's
numbers show that data came just then; as lost when one of the nodes was cut off; and as neither when nothing shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.explain import outcome_of
from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import NotServed, Request, ServedLate, UnreadAnswer
from orchestrator.analysis.ladder.order import Item, Ordering
from orchestrator.analysis.ladder.resets import CAME_LATE, DATA_CAME_LATE
from orchestrator.analysis.ladder.segment import UNDER_WAY, Segment
from orchestrator.analysis.ladder.traffic import acknowledged, came
from orchestrator.analysis.ladder.wire import Wire
from orchestrator.history.closing import FIN_ERRORS, RST_ERRORS
from orchestrator.history.model import History, Side

ABORTED = "Aborted"
"""A request that its own client gave up by closing the connection."""

_CLOCK = 0.01
"""Seconds: what the kernel's own clock tells is as coarse as this."""


class ExchangeItems:
    """Adds the items of exchanges. `fin`: side -> the item of its FIN; `resets` belong to those of the wire."""

    def __init__(
        self,
        wire: Wire,
        history: History,
        order: Ordering,
        add: Callable[[Item], Item],
        handshake: Sequence[Item],
        fin: dict[Side, Item],
        resets: Sequence[Item],
    ) -> None:
        self._wire, self._history = wire, history
        self._order, self._add = order, add
        self._handshake, self._fin, self._resets = handshake, fin, resets
        self._late: set[int] = set()
        """Ids of exchanges whose answer came when the client's end had closed."""

    def collect(self, exchanges: Sequence[Exchange], *, raw: bool) -> None:
        """`raw`: by a step that may write a request while another one has no answer yet."""
        self._late_answers(exchanges)
        server, client = self._fin.get(Side.SERVER), self._fin.get(Side.CLIENT)
        last = self._handshake[-1] if self._handshake else None
        asked: Item | None = None
        for number, exchange in enumerate(exchanges):
            pipelined = raw and number > 0 and exchange.reported and exchange.began < exchanges[number - 1].done
            request, answer = self._request(exchange, pipelined=pipelined), self._answer(exchange)
            self._order.then(asked if pipelined else last, request, answer)
            asked = request
            self._order.then(last, answer)
            if exchange.status:  # of an answer that was cut the beginning came
                self._order.then(request, server)
            if exchange.error == ABORTED:
                self._order.then(answer, *(reset for reset in self._resets[:1] if reset.sender is Side.CLIENT))
            for reset in self._resets:
                if reset.sender is Side.SERVER and exchange.error and exchange.began <= reset.before <= exchange.done:
                    self._order.then(request, reset)
            if answer is not None and exchange.reported:
                last = answer
                if exchange.met & FIN_ERRORS:
                    self._order.then(server, answer)
                elif exchange.met & RST_ERRORS:
                    self._order.then(*self._resets[:1], answer)
                elif not exchange.error:
                    self._order.then(answer, server)
            elif answer is not None:
                self._order.then(answer, server)
            self._unread_answer(exchange, request)
        if not exchanges or exchanges[-1].reported:
            self._order.then(last, client)

    # -- requests --------------------------------------------------------------------------------------------------

    def _request(self, exchange: Exchange, *, pipelined: bool) -> Item:
        """`pipelined`: it was written while another one had no answer yet, so its server may have read it long after it
        came."""
        served, kind = exchange.served, RowKind.REQUEST
        after, before = exchange.began, exchange.done
        unproven = False
        if pipelined and exchange.status:
            before = exchange.began
        elif served is not None and served <= exchange.done:
            after = before = served
        elif exchange.reported:
            if not exchange.status and self._wire.server.node in self._history.speaking:
                kind = RowKind.UNSERVED
            arrived = came(self._wire.server, after, before)
            if arrived is not None:
                after, before = max(after, arrived - _CLOCK), min(before, arrived + _CLOCK)
            unproven = kind is RowKind.REQUEST and not exchange.status and arrived is None
            unproven = unproven and not acknowledged(self._wire.client, after, before)
        item = Item(
            kind, after, before, Request(exchange.request, exchange.whole), Side.CLIENT,
            exchange=exchange, floor=exchange.began, unproven=unproven,
        )  # fmt: skip
        if served is not None and served > exchange.done:
            late = Item(RowKind.PROGRAM, served, served, ServedLate(self._wire.server.node, exchange.request))
            self._add(late)
            self._order.then(item, late)
        elif kind is RowKind.UNSERVED:
            item.notes.append(NotServed(self._wire.server.node))
        return self._add(item)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _answer(self, exchange: Exchange) -> Item | None:
        """What the client's program got; without one that reports, what the server's program wrote."""
        if not (exchange.error or exchange.status) or (id(exchange) in self._late and not exchange.reported):
            return None
        floor = exchange.served if exchange.served is not None and exchange.served <= exchange.done else exchange.began
        kind, outcome = RowKind.ERROR if exchange.error else RowKind.RESPONSE, outcome_of(exchange)
        sender = Side.SERVER if kind is RowKind.RESPONSE else None
        item = Item(kind, exchange.done, exchange.done, outcome, sender, exchange=exchange, floor=floor)
        item.lost = not exchange.reported and self._wire.losses.cut(exchange.done, exchange.done)
        return self._add(item)

    def _unread_answer(self, exchange: Exchange, request: Item) -> None:
        """What the server wrote for a client that had given up, or whose library failed on it."""
        answered = exchange.answered
        if answered is None or not exchange.reported or exchange.status or id(exchange) in self._late:
            return
        unread = UnreadAnswer(exchange.answer, answered > exchange.done)
        item = Item(RowKind.RESPONSE, answered, answered, unread, Side.SERVER, floor=exchange.served)
        item.lost = self._wire.losses.cut(answered, answered)
        item.unproven = not item.lost
        self._add(item)
        self._order.then(request, item)

    def _late_answers(self, exchanges: Sequence[Exchange]) -> None:
        """Answers that came when the client's end had closed: the RST with which its kernel met one proves it."""
        for segment, reset in zip(self._wire.resets, self._resets, strict=True):
            exchange = self._met_by(segment, exchanges)
            if exchange is None or id(exchange) in self._late:
                continue
            self._late.add(id(exchange))
            unread = UnreadAnswer(exchange.answer, late=True)
            floor = exchange.served if exchange.answered is not None else exchange.done
            item = Item(RowKind.RESPONSE, segment.after, segment.before, unread, Side.SERVER, floor=floor)
            self._order.then(self._add(item), self._fin.get(Side.SERVER) if self._with_fin(segment) else reset)
            self._order.then(item, reset)

    def _met_by(self, reset: Segment, exchanges: Iterable[Exchange]) -> Exchange | None:
        """The exchange whose answer a RST of the client's kernel meets."""
        if reset.sender is Side.SERVER or reset.reason not in CAME_LATE:
            return None
        written = [one for one in exchanges if not one.error or not one.status]
        told = [
            one
            for one in written
            if one.answered is not None
            and one.answered - UNDER_WAY <= reset.before <= one.answered + UNDER_WAY
            and (one.error or not one.reported)
        ]
        if told and (reset.reason in DATA_CAME_LATE or not self._near_fin(reset)):
            return told[-1]
        waited = [one for one in written if one.reported and one.error and one.done <= reset.before]
        if not waited or self._near_fin(reset) or (waited[-1].telling and waited[-1].served is not None):
            return None
        known = waited[-1].served is not None and waited[-1].served <= reset.before
        return waited[-1] if known or self._wire.server.node not in self._history.speaking else None

    def _with_fin(self, reset: Segment) -> bool:
        fin = self._wire.fins.get(Side.SERVER)
        return fin is not None and abs(fin.before - reset.before) < UNDER_WAY

    def _near_fin(self, reset: Segment) -> bool:
        """Whether it may be the server's FIN that a RST answers."""
        sent = [self._wire.fins.get(Side.SERVER), *self._wire.retransmissions]
        fins = [one for one in sent if one and one.sender is Side.SERVER and one.flags.has_fin]
        return any(not one.lost and one.after <= reset.before <= one.before + UNDER_WAY for one in fins)
