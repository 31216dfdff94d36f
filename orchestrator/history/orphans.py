"""Which events are of sockets that an earlier lab left, which had the same addresses.

A socket whose FIN was not acknowledged outlives its processes by minutes, and its namespace with it, and retransmits
its FIN. Whatever belongs to this lab was born after tracing began.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import BIRTHS
from orchestrator.tcp.states import TcpState

_BIRTHS = dict(BIRTHS)
"""State that is left -> state that a connection's socket is born in."""


def without_orphans(events: Iterable[Event]) -> list[Event]:
    """The events of this lab's sockets. `events` are in order of time."""
    judge = _Born()
    return [event for event in events if judge.ours(event)]


class _Born:
    """The sockets whose birth the trace has shown."""

    def __init__(self) -> None:
        self._sockets: set[int] = set()
        self._pairs: set[tuple[str, str]] = set()

    def ours(self, event: Event) -> bool:
        match event["ev"]:
            case "state":
                return self._state(event)
            case "retransmit":
                # A SYN+ACK is the listening socket's.
                return event["a"] in self._sockets or event["state"] == TcpState.SYN_RECV
            case "rst" | "rst_received":
                # Without a socket, or that of a listener (no node yet), or a minisocket's of ours.
                known = not event["a"] or not event["node"] or event["a"] in self._sockets
                local, peer = event["local"], event["peer"]
                return known or (local, peer) in self._pairs or (peer, local) in self._pairs
        return True

    def _state(self, event: Event) -> bool:
        if _BIRTHS.get(event["old"]) == event["new"]:
            self._sockets.add(event["a"])
        elif event["a"] not in self._sockets:
            return TcpState.LISTEN in (event["old"], event["new"])
        self._pairs.add((event["local"], event["peer"]))
        return True
