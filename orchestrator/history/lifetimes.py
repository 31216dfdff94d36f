"""When a socket was born and when it ended, and how long it was in a state, as intervals."""

from __future__ import annotations

import math

from orchestrator.history.model import Socket, StateInterval, UnknownInterval
from orchestrator.tcp.lifecycle import EMBRYONIC


def birth(socket: Socket) -> tuple[float, float]:
    """The interval in which the socket was born; it starts at -inf for one that was there at the first tick."""
    first = socket.intervals[0].first
    before = socket.unknown[0] if socket.unknown and socket.unknown[0].before == first else None
    return (before.after, first) if before else (-math.inf, first)


def death(socket: Socket) -> float:
    """The latest time at which the socket can have ended; inf for one that was there at the last tick."""
    last = socket.intervals[-1].last
    after = socket.unknown[-1] if socket.unknown and socket.unknown[-1].after == last else None
    return after.before if after else math.inf


def up(socket: Socket) -> float:
    """A time at which its handshake was done; that of its end when it never was."""
    return next((interval.first for interval in socket.intervals if interval.state not in EMBRYONIC), death(socket))


def lasted(socket: Socket, interval: StateInterval) -> tuple[float, float] | None:
    """Shortest and longest possible duration of a stay, seconds; None when it had not ended at the last tick."""
    before: UnknownInterval | None = None
    for gap in socket.unknown:  # in order of time
        if gap.before == interval.first and before is None:
            before = gap
        if gap.after == interval.last:
            return interval.last - interval.first, gap.before - before.after if before else math.inf
    return None
