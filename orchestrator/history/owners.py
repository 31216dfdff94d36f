"""Owners of sockets that no sample saw: the programs that reported them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from orchestrator.history.model import Socket
from orchestrator.recording.events import Event

_Owner = tuple[int | None, int | None, str | None]


def with_reported_owners(sockets: Sequence[Socket], reports: Iterable[Event]) -> tuple[Socket, ...]:
    """The sockets, with the owners of those that a node's program reported and no sample saw with an owner.

    `reports`: what programs reported of their requests and connections. One program reports for a node; which process
    it is shows with any of its sockets that was seen. A node of which several were seen is left as it is.
    """
    named = {(event["node"], event.get("local"), event.get("peer")) for event in reports}
    reporters: dict[str, set[_Owner]] = defaultdict(set)
    for socket in sockets:
        if socket.pid is not None and (socket.node, socket.local, socket.peer) in named:
            reporters[socket.node].add((socket.uid, socket.pid, socket.comm))
    known = {node: next(iter(found)) for node, found in reporters.items() if len(found) == 1}
    return tuple(
        _owned(socket, known[socket.node])
        if socket.pid is None and socket.node in known and (socket.node, socket.local, socket.peer) in named
        else socket
        for socket in sockets
    )


def _owned(socket: Socket, owner: _Owner) -> Socket:
    """As `replace`, in a fraction of the time: of a large run there are tens of thousands."""
    uid, pid, comm = owner
    return Socket(
        socket.node, socket.sk, socket.local, socket.peer, socket.intervals, socket.unknown, socket.queues,
        uid, pid, comm, socket.ended_by, socket.owned, socket.traffic, socket.probes,
        socket.untimed,
    )  # fmt: skip
