"""Connections that came to a listener, by the kernel's trace: each may have changed its queue, and no event tells when
a program takes one out of it. So what a tick showed before is no longer known, until the next tick.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from orchestrator.history.model import History, Socket
from orchestrator.history.sampled import NodeTicks
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState


class Arrivals:
    """When connections of a node were established that somebody else had called. Without a trace there are none: then
    ticks are all that is known of sockets, too."""

    def __init__(self, history: History) -> None:
        self._times: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        for socket in history.sockets if history.exact else ():
            called = any(one.state is TcpState.SYN_SENT for one in socket.intervals)
            up = next((one for one in socket.intervals if one.state not in {*EMBRYONIC, TcpState.LISTEN}), None)
            if up is not None and not called:
                address, _, port = socket.local.rpartition(":")
                self._times[socket.node, port].append((up.first, address))
        for times in self._times.values():
            times.sort()

    def unread(self, listener: Socket, ticks: NodeTicks) -> Iterator[tuple[float, float, int]]:
        """From each arrival to the tick that follows: start, end, and how many came since the tick before. They follow
        each other, and those between two ticks touch."""
        address, _, port = listener.local.rpartition(":")
        anywhere = address in ("0.0.0.0", "[::]", "*")
        came = [t for t, own in self._times[listener.node, port] if anywhere or own == address]
        for position, t in enumerate(came):
            following = ticks.from_(t)
            if following is None:
                following = ticks.times[-1] if ticks.times else t
            since = ticks.before(t)
            first = 0 if since is None else bisect_left(came, since)
            end = came[position + 1] if position + 1 < len(came) else following
            yield t, min(end, following), bisect_right(came, t) - first
