"""What the kernel counted at the ends of a connection (TCP_INFO, at each sample): data that no program reports, and
whether a time without reports was without data too.

The kernel tells when it last sent and last got data, to a tick of its own clock; so of all the data between two
samples the last piece is known to some milliseconds, and the first to the distance of the samples.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise

from orchestrator.analysis.ladder.ends import Life
from orchestrator.analysis.nodata import last_tick
from orchestrator.history.model import History, Side
from orchestrator.history.readings import TrafficReading
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_TICK = 0.01
"""Seconds: the longest tick of the kernel's clock (HZ=100)."""

LATE = 0.05
"""Seconds that a program may be late to report what its kernel has sent or got."""

_PAUSES = 4
_LONGER = 3.0


@record
class Stretch:
    """Data went over the wire between `after` and `before`, bytes from the client's view; it began by `begun`."""

    after: float
    begun: float
    before: float
    sent: int
    received: int


def _last(reading: TrafficReading) -> float | None:
    return max((t for t in (reading.sent_at, reading.received_at) if t is not None), default=None)


def moved(lives: Iterable[Life], after: float, before: float) -> bool:
    """Whether the samples of an end show that data went over the wire inside (after, before)."""
    readings = (reading for life in lives for reading in (life.socket.traffic if life.socket else ()))
    return any((last := _last(reading)) is not None and after + LATE < last < before - LATE for reading in readings)


def seen_until(lives: Iterable[Life], history: History, t: float) -> float | None:
    """The last sample at or before `t`, if it has the numbers of an end; None: nothing tells what went before it."""
    tick = last_tick(history, t)
    return tick if tick is not None and any(_observed(life, tick) for life in lives) else None


def _observed(life: Life, t: float) -> bool:
    """Whether the end was a full socket at `t`, whose numbers a sample has."""
    if life.socket is None or not life.socket.traffic or life.socket.traffic[0].t > t:
        return False
    return life.at(t) not in (None, TcpState.CLOSED, TcpState.TIME_WAIT, TcpState.FIN_WAIT2)


def any_data(lives: Iterable[Life]) -> bool | None:
    """Whether any data went over the connection; None: no sample tells."""
    readings = [reading for life in lives if life.socket for reading in life.socket.traffic]
    if not readings:
        return None
    return True if any(_last(reading) is not None for reading in readings) else None


def came(life: Life, after: float, before: float) -> float | None:
    """When data came to this end inside [after, before], as the first sample shows that had seen any."""
    for reading in life.socket.traffic if life.socket else ():
        at = reading.received_at
        if at is not None and after - _TICK <= at <= before + _TICK:
            return min(max(at, after), before)
    return None


def acknowledged(life: Life, after: float, before: float) -> bool:
    """Whether the peer acknowledged data of this end that was sent inside [after, before]."""
    for one, two in pairwise(life.socket.traffic if life.socket else ()):
        sent = two.sent_at
        if sent is not None and after - _TICK <= sent <= before and two.acked > one.acked and two.t <= before:
            return True
    return False


def stretches(lives: Iterable[Life], history: History, until: float, silence: float) -> Iterator[Stretch]:
    """The data of a connection, as the end tells that has more to tell; cut at its longest pauses, `silence` s long
    at least."""
    seen = [life for life in lives if life.socket and life.socket.traffic]
    if not seen:
        return
    life = max(seen, key=lambda life: len(life.socket.traffic) if life.socket else 0)
    pulses = [pulse for pulse in _pulses(life, history) if pulse.begun <= until]
    # A pulse may have begun as early as the sample before it: it is a pause only until then.
    gaps = [max(0.0, two.after - one.before) for one, two in pairwise(pulses)]
    usual = statistics.median(gaps) if len(gaps) > _PAUSES else 0.0
    long = sorted((gap for gap in gaps if gap >= max(silence, _LONGER * usual)), reverse=True)[:_PAUSES]
    current: Stretch | None = None
    for gap, pulse in zip([0.0, *gaps], pulses, strict=False):
        if current is not None and not (long and gap >= long[-1]):
            sent, received = current.sent + pulse.sent, current.received + pulse.received
            current = Stretch(current.after, current.begun, pulse.before, sent, received)
            continue
        if current is not None:
            yield current
        current = pulse
    if current is not None:
        yield current


def _pulses(life: Life, history: History) -> Iterator[Stretch]:
    """What went between a sample and the one before."""
    assert life.socket is not None
    before = TrafficReading(0.0, 0, 0, 0, 0, None, None)
    born = life.changes[0].after if life.changes and life.initial is None else None
    for number, reading in enumerate(life.socket.traffic):
        if not number and life.initial is not None:  # all that went before the recording began
            before = reading
            continue
        last, known = _last(reading), _last(before)
        news = last is not None and (known is None or last > known + _TICK)
        if news and last is not None:
            position = bisect_right(history.ticks, reading.t) - 1
            tick = history.ticks[position - 1] if position > 0 else None
            since = max((t for t in (tick, born, known) if t is not None), default=last)
            sent, received = reading.sent - before.sent, reading.received - before.received
            if life.side is Side.SERVER:
                sent, received = received, sent
            yield Stretch(min(since, last), last, last, sent, received)
        before = reading
