"""Sockets that older kernels report before they have an address: those that a listening socket on 0.0.0.0 accepted.

Linux 6.1 does so, 6.18 does not: inet_csk_clone_lock() moves the new socket from LISTEN to SYN_RECV while it still has
the listener's addresses. What the same socket does next shows whose it is, and that comes at once, on the same CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.recording.events import Event


def name_accepted(events: Sequence[Event]) -> list[Event]:
    """The events, in order of time, with the names of those `state` events that have none (node is empty).

    One whose socket never occurs after that, or first as something else, is of nobody in the lab, and left out.
    """
    following: dict[int, Event] = {}
    found: list[Event] = []
    for event in reversed(events):
        if event["ev"] != "state":
            found.append(event)
        elif event["node"]:
            following[event["a"]] = event
            found.append(event)
        else:
            successor = following.pop(event["a"], None)
            if successor is not None and successor["old"] == event["new"]:
                found.append(event | {key: successor[key] for key in ("node", "local", "peer")})
    found.reverse()
    return found
