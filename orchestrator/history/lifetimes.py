"""When a socket was born and when it ended, and how long it was in a state, as intervals."""

from __future__ import annotations

import math

from orchestrator.history.model import Socket, Stay


def birth(socket: Socket) -> tuple[float, float]:
    """The interval in which the socket was born; it starts at -inf for one that was there at the first tick."""
    first = socket.stays[0].first
    before = socket.gaps[0] if socket.gaps and socket.gaps[0].before == first else None
    return (before.after, first) if before else (-math.inf, first)


def death(socket: Socket) -> float:
    """The latest time at which the socket can have ended; inf for one that was there at the last tick."""
    last = socket.stays[-1].last
    after = socket.gaps[-1] if socket.gaps and socket.gaps[-1].after == last else None
    return after.before if after else math.inf


def lasted(socket: Socket, stay: Stay) -> tuple[float, float] | None:
    """Shortest and longest possible duration of a stay, seconds; None when it had not ended at the last tick."""
    after = next((gap for gap in socket.gaps if gap.after == stay.last), None)
    if after is None:
        return None
    before = next((gap for gap in socket.gaps if gap.before == stay.first), None)
    return stay.last - stay.first, after.before - before.after if before else math.inf
