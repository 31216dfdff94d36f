"""Samples the socket tables and counters of all nodes from one loop, and says what changed.

One sample of all nodes is a tick. Its lines carry one time, read before the first table: a state that a table shows
held at that time or began while the tick was taken (`took`, usually under a millisecond per node).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from orchestrator.observe.sources.addresses import Addresses
from orchestrator.observe.sources.conntrack import Conntrack
from orchestrator.observe.sources.conntracktable import ConntrackTable
from orchestrator.observe.sources.counters import Counters
from orchestrator.observe.sources.owner import Strangers, owners
from orchestrator.observe.sources.sockdiag import Changes, SockDiag, SocketRow, sk_of
from orchestrator.recording.events import TCPEXT_EVERY, Event
from orchestrator.system.linux import inside_netns

Clock = Callable[[], float]

_ADDRESSES = ("source", "destination", "new_source", "new_destination")


@dataclass(slots=True)
class Observed:
    """One node under observation."""

    name: str
    pid: int
    netns: int
    table: SockDiag
    counters: Counters
    known: dict[str, SocketRow] = field(default_factory=dict)
    owner_of: dict[int, tuple[int, str]] = field(default_factory=dict)
    strangers: Strangers = field(default_factory=Strangers)
    conntrack: Conntrack | None = None
    """For a node that translates addresses; `conntrack_table` too."""
    conntrack_table: ConntrackTable | None = None
    addresses: Addresses = field(kw_only=True)

    def close(self) -> None:
        self.addresses.close()
        if self.conntrack is not None:
            self.conntrack.close()
        if self.conntrack_table is not None:
            self.conntrack_table.close()
        self.table.close()
        self.counters.close()
        os.close(self.netns)


class Sampler:
    """Holds the nodes and makes ticks. `emit` takes events; times are `clock()` values, seconds. `addresses`: those of
    the nodes, as far as they are known; new ones are added."""

    def __init__(
        self,
        emit: Callable[[Iterable[Event]], None],
        clock: Clock = time.monotonic,
        addresses: set[str] | None = None,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._next_tcpext = 0.0
        self._last = 0.0
        self.nodes: dict[str, Observed] = {}
        self._known = set() if addresses is None else addresses
        self._holders: dict[str, str] = {}
        """Address -> the node that got it last."""

    def start(self) -> None:
        """The clock goes right from now on."""
        self._last = self._clock()

    def add(self, name: str, pid: int, *, nat: bool = False) -> None:
        """Observe the namespace of `pid` from the next tick on. Raises OSError when the process is gone.

        `nat`: also what its conntrack does, from now on.
        """
        netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with inside_netns(netns, self._home):
            node = Observed(name, pid, netns, SockDiag(), Counters(), addresses=Addresses())
            if nat:
                node.conntrack, node.conntrack_table = Conntrack(), ConntrackTable()
        self.nodes[name] = node

    def namespaces(self) -> dict[str, int]:
        return {name: node.netns for name, node in self.nodes.items()}

    @property
    def home(self) -> int:
        return self._home

    def listening(self, name: str) -> list[int]:
        """Ports on which a node listens now."""
        rows = self.nodes[name].table.rows()
        return sorted({int(row.local.rpartition(":")[2]) for row in rows if row.state == "LISTEN"})

    def tick(self, *, moment: bool = False) -> float:
        """Sample every node; returns the tick's time."""
        t = self._clock()
        all_groups = moment or t >= self._next_tcpext
        if all_groups:
            self._next_tcpext = t + TCPEXT_EVERY
        events: list[Event] = []
        counters: dict[str, dict[str, int]] = {}
        missed: list[str] = []
        for node in self.nodes.values():
            events += self._new_addresses(t, node)
            if node.conntrack is not None:
                events += self._translations(t, node, node.conntrack)
            if moment and node.conntrack_table is not None:
                events.append(_entries(t, node, node.conntrack_table))
            try:
                changes = node.table.changes()
            except OSError:
                missed.append(node.name)
                continue
            moved = node.counters.changes(all_groups=all_groups)
            if moved:
                counters[node.name] = moved
            if changes.rows or changes.gone:
                events += _lines(t, node, changes)
        tick: Event = {"t": t, "ev": "tick", "took": round(self._clock() - t, 6)}
        if counters:
            tick["counters"] = counters
        if missed:
            tick["missed"] = missed
        events.append(tick)
        self._emit(events)
        self._last = t
        return t

    def _new_addresses(self, t: float, node: Observed) -> Iterable[Event]:
        """Of the lab's own addresses, which the recording begins with, only that another node has one now."""
        for address in node.addresses.take():
            before = self._holders.get(address, node.name if address in self._known else None)
            self._holders[address] = node.name
            if before != node.name:
                self._known.add(address)
                yield {"t": t, "ev": "address", "node": node.name, "address": address}

    @property
    def watched(self) -> list[int]:
        """Descriptors that become readable when a node's conntrack has something to report."""
        return [node.conntrack.fileno() for node in self.nodes.values() if node.conntrack is not None]

    def _translations(self, t: float, node: Observed, conntrack: Conntrack) -> Iterable[Event]:
        """What came since the tick before this one, and so by the end of this reading."""
        taken = conntrack.take()
        now = self._clock() if taken else t
        for new, *addresses in taken:
            event: Event = {"t": now, "ev": "nat", "node": node.name, "what": "new" if new else "gone"}
            event |= {"after": self._last, **dict(zip(_ADDRESSES, addresses, strict=True))}
            yield event
        if conntrack.lost:
            conntrack.lost = False
            yield {"t": t, "ev": "note", "text": f"{node.name}: too much at once, conntrack events were lost"}

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        self.nodes.clear()
        os.close(self._home)


def _entries(t: float, node: Observed, table: ConntrackTable) -> Event:
    try:
        return {"t": t, "ev": "conntrack", "node": node.name, "entries": table.states()}
    except OSError as error:
        return {"t": t, "ev": "note", "text": f"{node.name}: its conntrack table could not be read: {error}"}


def _lines(t: float, node: Observed, changes: Changes) -> Iterable[Event]:
    if any(row.inode and row.inode not in node.owner_of for row in changes.rows):
        node.owner_of = owners(node.pid)
        unknown = [row.inode for row in changes.rows if row.inode and row.inode not in node.owner_of]
        node.owner_of |= node.strangers.owners(unknown, node.netns)
    for row in changes.rows:
        node.known[row.sk] = row
        yield _line(t, node, row)
    for socket_id in changes.gone:
        last = node.known.pop(sk_of(socket_id), None)
        if last is not None:
            yield {
                "t": t, "ev": "socket", "node": node.name, "sk": last.sk,
                "local": last.local, "peer": last.peer, "state": "CLOSED",
            }  # fmt: skip


def _line(t: float, node: Observed, row: SocketRow) -> Event:
    event: Event = {
        "t": t, "ev": "socket", "node": node.name, "sk": row.sk, "local": row.local, "peer": row.peer,
        "state": row.state.value, "recv_q": row.recv_q, "send_q": row.send_q,
    }  # fmt: skip
    if row.timer:
        event |= {"timer": row.timer, "expires": row.expires}
    if row.retrans:
        event["retrans"] = row.retrans
    if row.timer == "keepalive":
        event["probes"] = row.retrans
    if row.inode:
        event |= {"inode": row.inode, "uid": row.uid}
        if owner := node.owner_of.get(row.inode):
            event |= {"pid": owner[0], "comm": owner[1]}
    if row.traffic is not None:
        event |= row.traffic.fields(t)
    return event
