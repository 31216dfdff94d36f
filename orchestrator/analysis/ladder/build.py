"""From what happened to the rows of a ladder: states folded in, many requests in one row, the end."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from orchestrator.analysis.exchanges import Exchange, Reports, addresses
from orchestrator.analysis.ladder.endnotes import CloseWaitStays, FinWait2Stays, RunEnds, TimeWaitToGo
from orchestrator.analysis.ladder.ends import Life
from orchestrator.analysis.ladder.footnotes import footnotes_of
from orchestrator.analysis.ladder.headline import headline
from orchestrator.analysis.ladder.items import SILENCE, Items, gather
from orchestrator.analysis.ladder.model import End, Head, Ladder, Row, RowKind
from orchestrator.analysis.ladder.notes import (
    BothFinsArrive,
    MoreRequests,
    Note,
    SentAgain,
)
from orchestrator.analysis.ladder.order import Item
from orchestrator.analysis.ladder.queues import close_wait_queue
from orchestrator.analysis.ladder.silences import silence_before, with_silences
from orchestrator.history.index import never_ends
from orchestrator.history.model import Connection, History, Side
from orchestrator.tcp.lifecycle import TIME_WAIT_SECONDS
from orchestrator.tcp.states import TcpState

_S = TcpState

_PAUSES = 4
_LONGER = 3.0
"""Alike requests share one row, cut at this many pauses at most, each so many times longer than is usual."""

_FAILURES = 3
"""Failed requests that are shown one by one."""


def ladder(name: str, connection: Connection, history: History, reports: Reports) -> Ladder:
    """The ladder of one connection of the history. `reports`: what its programs reported."""
    found = gather(connection, history, reports)
    fewer = {life.side for life in (found.wire.client, found.wire.server) if life.node in history.retransmits_counted}
    folded = list(with_silences(_fold(_collapse(list(_collapse_again(found.items, fewer))), found), found))
    end = list(_end(folded, found))
    while not end and folded and folded[-1].kind is RowKind.STEP:
        folded.pop()  # the story is over: both ends are gone
    rows = (*folded, *end)
    client, server = addresses(connection)
    return Ladder(
        name=name,
        headline=headline(connection, found, reports),
        client=_head(found.wire.client, client, history),
        server=_head(found.wire.server, server, history),
        rows=rows,
        footnotes=tuple(footnotes_of(rows, found)),
    )


def _head(life: Life, address: str, history: History) -> Head:
    socket = life.socket
    return Head(
        life.node or str(life.side),
        address,
        program=(socket.comm or "") if socket else "",
        pid=socket.pid if socket else None,
        seen=socket is not None,
        of_lab=life.node in history.nodes,
    )


# -- many requests in one row ----------------------------------------------------------------------------------------


def _collapse(items: Sequence[Item]) -> Iterator[Item]:
    """Successive exchanges become: the first of them whole, the others in one row; anew after a pause."""
    for plain, run in groupby(items, key=lambda item: item.exchange is not None and not item.changes):
        found = list(run)
        yield from _collapse_run(found) if plain else found


def _collapse_again(items: Iterable[Item], fewer: Container[Side]) -> Iterator[Item]:
    """What one end sends again and again, while nothing else happens, becomes one row. `fewer`: ends of which the trace
    shows fewer than the kernel counted."""

    def alike(item: Item) -> tuple[object, ...]:
        again = item.kind is RowKind.RETRANSMIT and not item.changes
        return again, item.sender, item.flags, item.lost

    for (again, *_), run in groupby(items, key=alike):
        found = list(run)
        if again and len(found) > 1:
            first, last = found[0], found[-1]
            assert first.flags is not None
            told = SentAgain(first.flags, len(found), first.sender in fewer, last.before - first.after)
            same = [note for note in first.notes if all(note in item.notes for item in found)]
            yield Item(
                RowKind.RETRANSMIT, first.after, last.before, told, first.sender, same,
                lost=first.lost, flags=first.flags,
            )  # fmt: skip
        else:
            yield from found


def _collapse_run(run: list[Item]) -> Iterator[Item]:
    """One run of requests and answers. What is not a request with its answer right behind it stays as it is."""
    units: list[list[Item]] = []
    for item in run:
        if units and len(units[-1]) == 1 and _answers(units[-1][0], item):
            units[-1].append(item)
        else:
            units.append([item])
    failed = [id(unit) for unit in units if _exchange(unit).error]
    parts: list[list[list[Item]]] = [[]]
    cuts = _pauses(units)
    for number, unit in enumerate(units):
        alone = (len(unit) == 1 and _exchange(unit).outcome_known) or id(unit) in failed[:_FAILURES]
        if alone or number in cuts:
            parts.append([])
        parts[-1].append(unit)
        if alone:
            parts.append([])
    for part in parts:
        yield from (item for unit in part[:1] for item in unit)
        rest = part[1:]
        if len(rest) == 1:
            yield from rest[0]
        elif rest:
            yield _summary(rest)


def _answers(request: Item, item: Item) -> bool:
    asked = request.kind in (RowKind.REQUEST, RowKind.UNSERVED)
    return asked and request.exchange is item.exchange and item.kind in (RowKind.RESPONSE, RowKind.ERROR)


def _exchange(unit: Sequence[Item]) -> Exchange:
    exchange = unit[0].exchange
    assert exchange is not None
    return exchange


def _pauses(units: Sequence[Sequence[Item]]) -> set[int]:
    """Before which exchanges of a run there is a pause that a reader wants to see: only the longest few."""
    gaps = [max(0.0, two[0].after - one[-1].before) for one, two in pairwise(units)]
    if not gaps:
        return set()
    usual = statistics.median(gaps) if len(gaps) > _PAUSES else 0.0
    long = [number for number, gap in enumerate(gaps, 1) if gap >= max(SILENCE, _LONGER * usual)]
    return set(sorted(long, key=lambda number: -gaps[number - 1])[:_PAUSES])


def _summary(parts: Sequence[Sequence[Item]]) -> Item:
    exchanges = [_exchange(items) for items in parts]
    outcomes = Counter(one.error or one.status or ("" if one.outcome_known else None) for one in exchanges)
    first = min(items[0].earliest for items in parts)
    last = max(items[-1].before for items in parts)
    told = MoreRequests(len(exchanges), last - first, tuple(outcomes.most_common(4)), known=exchanges[0].outcome_known)
    return Item(RowKind.REQUESTS, min(first, last), last, told, answers_known=exchanges[-1].outcome_known)


# -- states ----------------------------------------------------------------------------------------------------------


def _fold(items: Iterable[Item], found: Items) -> Iterator[Row]:
    """Items to rows that carry the states of both ends. State changes of both ends at one time share a row."""
    now = {
        life.side: End(_S(life.initial) if life.initial else None) for life in (found.wire.client, found.wire.server)
    }
    rows: list[Row] = []
    for item in items:
        ends = {side: replace(end, changed=False, queue=None) for side, end in now.items()}
        if item.kind is RowKind.BEGIN:
            ends = {side: replace(end, changed=end.state is not None) for side, end in ends.items()}
        for change in sorted(item.changes, key=lambda change: change.before):
            queue = None
            if change.state is _S.CLOSE_WAIT:
                queue = close_wait_queue(found.wire.life(change.side), found.history, change.before)
            ends[change.side] = End(change.state, True, queue)
        if item.queue is not None:
            side, queue = item.queue
            ends[side] = replace(ends[side], queue=queue)
        now = ends
        says = () if item.says is None else (item.says,)
        row = Row(
            item.after, item.before, item.kind, says, ends[Side.CLIENT], ends[Side.SERVER], item.sender,
            item.flags, tuple(item.notes), lost=item.lost, by=item.by, arrives=item.arrives,
            unproven=item.unproven, awaits=_awaits(item, rows[-1].awaits if rows else False),
        )  # fmt: skip
        if rows and (merged := _merge(rows[-1], row)):
            rows[-1] = merged
        else:
            rows.append(row)
    return iter(rows)


def _awaits(item: Item, before: bool | None) -> bool | None:
    """Whether an answer is due once the item has happened. One exchange at a time, as HTTP/1.1 is used."""
    if item.kind in (RowKind.REQUEST, RowKind.UNSERVED):
        return True if item.exchange is None or item.exchange.outcome_known else None
    if item.kind in (RowKind.RESPONSE, RowKind.ERROR):
        return False
    if item.kind is RowKind.REQUESTS:
        return False if item.answers_known else None
    return before


def _merge(one: Row, two: Row) -> Row | None:
    """Two changes of state at one time, at one end each, as one row."""
    if one.kind is not RowKind.STATE or two.kind is not RowKind.STATE or two.after > one.before:
        return None
    if any(one.end(side).changed and two.end(side).changed for side in Side):
        return None
    says = tuple(dict.fromkeys((*one.says, *two.says)))
    if len(says) == 2 and one.arrives and two.arrives:
        says = (BothFinsArrive(),)
    ends = {side: one.end(side) if one.end(side).changed else two.end(side) for side in Side}
    return replace(two, after=min(one.after, two.after), says=says, client=ends[Side.CLIENT], server=ends[Side.SERVER])


# -- the end ---------------------------------------------------------------------------------------------------------


def _end(rows: Sequence[Row], found: Items) -> Iterator[Row]:
    """What is left when the recording ends; nothing when both ends are gone."""
    if not rows:
        return
    last, until = rows[-1], max(found.until, rows[-1].before)
    left = {side: last.end(side).state for side in Side}
    if not any(state not in (None, _S.CLOSED) for state in left.values()):
        return
    if until - last.before >= SILENCE:
        yield silence_before(last, until, until, found)
    told = (RunEnds(found.history.end.get("outcome")),)
    client, server = (End(state, changed=state not in (None, _S.CLOSED)) for state in left.values())
    notes = tuple(_left(found, left, until))
    yield Row(until, until, RowKind.END, told, client, server, notes=notes)


def _left(found: Items, left: dict[Side, TcpState | None], until: float) -> Iterator[Note]:
    for side, state in left.items():
        life = found.wire.life(side)
        if state is _S.TIME_WAIT:
            begun = next((change for change in life.changes if change.state is _S.TIME_WAIT), None)
            if begun is not None:
                to_go = TIME_WAIT_SECONDS - (until - begun.before)
                yield TimeWaitToGo(life.node, max(0.0, to_go))
        elif state is _S.CLOSE_WAIT:
            yield CloseWaitStays(life.node)
        elif state is _S.FIN_WAIT2 and life.socket is not None and never_ends(life.socket, until):
            yield FinWait2Stays(life.node)
