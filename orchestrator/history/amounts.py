"""How many bytes of data an end of a connection had sent and received by some time, between two bounds.

Two witnesses: TCP_INFO at each sample, as long as the end is a full socket; and the sequence number of its FIN, which
tells all that it sent, however short its life was. What an end that got a FIN received is what its peer sent.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from orchestrator.history.lifetimes import birth
from orchestrator.history.model import Connection, Side, Socket
from orchestrator.history.readings import TrafficReading
from orchestrator.history.sampled import NodeTicks
from orchestrator.tcp.states import TcpState

_S = TcpState
_GOT_FIN = frozenset({_S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING, _S.TIME_WAIT})
_MINISOCKET = frozenset({_S.TIME_WAIT, _S.FIN_WAIT2, _S.CLOSED, _S.SYN_RECV})
"""States in which a sample may show no full socket, and so no numbers."""

_SLACK = 0.05
"""Seconds: the table is read a little after the time that its tick bears."""

_ROUND = 1 << 32

Amount = tuple[float, float]
"""At least, at most; math.inf where nothing bounds it."""


def sent(connection: Connection, side: Side, t: float, ticks: NodeTicks) -> Amount:
    """What TCP of the side's end had sent by `t`, each byte once. `ticks`: those of its node."""
    end = _end(connection, side)
    if end is None:
        return 0, _whole(connection, side, 0)
    known = [(reading.t, float(max(0, reading.sent - reading.resent))) for reading in end.traffic]
    values = [(at, value, value) for at, value in known]
    over = (connection.fins or {}).get(side)
    return _at(end, t, ticks, values, _whole(connection, side, known[-1][1] if known else 0), over)


def received(connection: Connection, side: Side, t: float, ticks: NodeTicks) -> Amount:
    """What had come to the side's end by `t`."""
    end = _end(connection, side)
    if end is None:
        return 0, _whole(connection, side.other, 0)
    fin = next((stay.first for stay in end.intervals if stay.state in _GOT_FIN), None)
    values = [(reading.t, *_data(reading, fin)) for reading in end.traffic]
    most = _whole(connection, side.other, values[-1][1] if values else 0)
    return _at(end, t, ticks, values, most, fin)


def _data(reading: TrafficReading, fin: float | None) -> Amount:
    """The kernel counts a FIN that came as a byte."""
    if fin is None or fin > reading.t + _SLACK:
        return reading.received, reading.received
    without = max(0, reading.received - 1)
    return without, without if fin <= reading.t else reading.received


def _at(
    end: Socket,
    t: float,
    ticks: NodeTicks,
    values: Sequence[tuple[float, float, float]],
    whole: float,
    over: float | None,
) -> Amount:
    """`values`: readings, at least and at most. `whole`: all that there ever was, at most; and exactly that from `over`
    on, when the FIN left or came."""
    if t < birth(end)[0]:
        return 0, 0
    if over is not None and over <= t and whole < math.inf:
        return whole, whole
    number = bisect_right(values, t, key=itemgetter(0))
    least, most = (0.0, 0.0) if not number else values[number - 1][1:]
    if number < len(values):
        before = ticks.before(values[number][0])
        if before is not None and before >= t and number:
            return least, min(most, whole)
        return least, min(values[number][2], whole)
    if number and _still_read(end, t, ticks):
        return least, min(most, whole)
    return least, whole


def _still_read(end: Socket, t: float, ticks: NodeTicks) -> bool:
    """Whether a sample at `t` or later shows the full socket as its last reading did."""
    tick = ticks.from_(t)
    return tick is not None and any(
        stay.first <= tick <= stay.last and stay.state not in _MINISOCKET for stay in end.intervals
    )


def _whole(connection: Connection, side: Side, known: float) -> float:
    """All that a side ever sent; without a FIN of it nothing tells. Sequence numbers begin anew after 4 GiB."""
    if connection.carried is None or side not in connection.carried:
        return math.inf
    whole = connection.carried[side]
    return whole + _ROUND * math.ceil(max(0.0, known - whole) / _ROUND)


def _end(connection: Connection, side: Side) -> Socket | None:
    return connection.client if side is Side.CLIENT else connection.server
