"""What the queues of an end tell: a program that does not read, a peer that does not acknowledge."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import pairwise

from orchestrator.analysis.ladder.ends import GOT_FIN, Life
from orchestrator.analysis.ladder.model import Queue, RowKind
from orchestrator.analysis.ladder.notes import DoesNotRead, NotAcknowledged, ReadsTheEnd
from orchestrator.analysis.ladder.order import Item
from orchestrator.history.index import queue_at
from orchestrator.history.model import History, StateInterval
from orchestrator.tcp.lifecycle import SENT_FIN
from orchestrator.tcp.states import TcpState

_S = TcpState

_STANDS = 0.5
"""Seconds that a queue must stand to be told of, but for Recv-Q in CLOSE_WAIT."""

_SOON = 0.2
"""Seconds from when an end closes to the sample that shows its queue, at most."""


def close_wait_queue(life: Life, history: History, before: float) -> Queue | None:
    """Recv-Q when an end entered CLOSE_WAIT at `before`; None when no sample came while it lasted."""
    interval = _close_wait(life)
    if interval is None or life.socket is None:
        return None
    tick = bisect_left(history.ticks, max(before, interval.first))
    if tick == len(history.ticks) or history.ticks[tick] > interval.last:
        return None
    reading = queue_at(life.socket, history.ticks[tick])
    return ("Recv-Q", reading.recv_q) if reading else None


def _close_wait(life: Life) -> StateInterval | None:
    intervals = life.socket.intervals if life.socket else ()
    return next((interval for interval in intervals if interval.state is _S.CLOSE_WAIT), None)


def standing_queues(life: Life, history: History, until: float) -> Iterator[Item]:
    """Changes of Recv-Q in CLOSE_WAIT, and queues that stand for a while at other times."""
    if life.socket is None:
        return
    interval = _close_wait(life)
    shown = close_wait_queue(life, history, -math.inf)
    for reading, following in pairwise([*life.socket.queues, None]):
        if reading is None or reading.t > until:
            return
        tick = bisect_left(history.ticks, reading.t)
        after = history.ticks[tick - 1] if tick else reading.t
        if interval is not None and interval.first <= reading.t <= interval.last:
            queue = ("Recv-Q", reading.recv_q)
            if shown and queue != shown:
                read = ReadsTheEnd(life.node) if reading.recv_q == 0 else None
                yield Item(RowKind.QUEUE, max(after, interval.first), reading.t, read, queue=(life.side, queue))
                shown = queue
            continue
        stands = min(following.t if following else until, life.socket.intervals[-1].last, until) - reading.t
        if stands >= _STANDS and life.socket.intervals[0].state is not _S.LISTEN:
            fin = life.at(reading.t) in GOT_FIN  # it counts as one byte
            if reading.recv_q > fin:
                queue = ("Recv-Q", reading.recv_q)
                yield Item(RowKind.QUEUE, after, reading.t, DoesNotRead(life.node), queue=(life.side, queue))
            elif reading.send_q:
                queue = ("Send-Q", reading.send_q)
                yield Item(RowKind.QUEUE, after, reading.t, NotAcknowledged(), queue=(life.side, queue))


def beside_change(life: Life, item: Item, of_change: Mapping[int, Item]) -> bool:
    """Whether what waits in a queue is the SYN or the FIN of a row that is there: then it stands beside that state.
    `of_change`: id of a change -> its row."""
    assert item.queue is not None
    entered = [change for change in life.changes if change.before <= item.before]
    if item.queue[1][0] != "Send-Q" or not entered or entered[-1].state not in (_S.SYN_SENT, *SENT_FIN):
        return False
    row = of_change[id(entered[-1])]
    if row.lost:
        return True
    if row.queue is not None or item.before > entered[-1].before + _SOON:
        return False
    row.queue = item.queue
    return True
