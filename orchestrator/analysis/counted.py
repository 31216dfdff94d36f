"""What the kernel's counters and a library's own words explain of a run: a full accept queue, a full table of
TIME_WAIT, a full pool, a NAT without a place, a SYN that met an old half."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.history.counters import Counters
from orchestrator.history.model import Connection, History
from orchestrator.tcp.addresses import split_address
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record

_ANSWERED = 0.5
"""Seconds from a SYN to the RST that answers a challenge ACK to it: a round trip, and the next SYN comes after 1 s."""


@record
class QueueWasFull(Data):
    """Handshakes that the node's kernel dropped for want of room in an accept queue, by ListenOverflows: SYNs, and last
    ACKs. `backlog` and `port` are of the one listener that it can have been; None: of several, or none was seen."""

    node: str
    times: int
    backlog: int | None
    port: int | None


@record
class TableWasFull(Data):
    """Connections that skipped TIME_WAIT, by TCPTimeWaitOverflow. `size`: what tcp_max_tw_buckets was set to."""

    node: str
    times: int
    size: int | None


@record
class PoolWasFull(Data):
    """Connections that a client closed since its pool had no room, as its library says itself."""

    node: str
    times: int


@record
class NoPlace(Data):
    """Segments that begin a flow, the repeated ones too, which a NAT dropped for want of an entry or a port."""

    node: str
    times: int
    says: str
    """What was used up, in its own words."""


@record
class OldHalfMet(Data):
    """A SYN met the old half of an earlier connection of the same addresses on `node`, which answered with a challenge
    ACK; the client reset that one. Places among the connections of the run, from 1."""

    node: str
    client: str
    old: int
    new: int


Explained = QueueWasFull | TableWasFull | PoolWasFull | NoPlace | OldHalfMet


def explained(history: History) -> list[Explained]:
    """Each with its witness, node by node."""
    counters = Counters(history.counters, history.moments.values())
    counted: list[Explained] = [*_queues(history, counters), *_tables(history, counters)]
    return [*counted, *_pools(history), *_places(history), *_old_halves(history, counters)]


def _rise(history: History, counters: Counters, node: str, name: str) -> int:
    """By how much the counter rose until the end of the story; 0 where it was not read."""
    return counters.rise(node, name, history.ticks[0], history.until) or 0 if history.ticks else 0


def _queues(history: History, counters: Counters) -> Iterator[QueueWasFull]:
    for node in history.nodes:
        times = _rise(history, counters, node, "ListenOverflows")
        if times:
            queues = [
                (split_address(socket.local)[1], reading)
                for socket in history.sockets
                if socket.node == node and socket.intervals[0].state is TcpState.LISTEN
                for reading in socket.queues
            ]
            full = {(port, reading.send_q) for port, reading in queues if reading.recv_q > reading.send_q}
            known = full or {(port, reading.send_q) for port, reading in queues}
            port, backlog = next(iter(known)) if len(known) == 1 else (None, None)
            yield QueueWasFull(node, times, backlog, port)


def _tables(history: History, counters: Counters) -> Iterator[TableWasFull]:
    sysctls = {node["name"]: node.get("sysctls") or {} for node in history.begin.get("nodes", ())}
    for node in history.nodes:
        times = _rise(history, counters, node, "TCPTimeWaitOverflow")
        if times:
            size = str(sysctls.get(node, {}).get("net.ipv4.tcp_max_tw_buckets", ""))
            yield TableWasFull(node, times, int(size) if size.isascii() and size.isdigit() else None)


def _pools(history: History) -> Iterator[PoolWasFull]:
    said = Counter(line["node"] for line in history.logs if line.get("means") == "pool_full")
    for node, times in said.items():
        yield PoolWasFull(node, times)


def _places(history: History) -> Iterator[NoPlace]:
    said = Counter((line["node"], line["says"]) for line in history.logs if line.get("means") == "no_place")
    for (node, says), times in said.items():
        yield NoPlace(node, times, str(says))


def _old_halves(history: History, counters: Counters) -> Iterator[OldHalfMet]:
    """The RST of the client that ended an old half while a new connection of the same addresses was calling."""
    challenged = {node for node in history.nodes if _rise(history, counters, node, "TCPChallengeACK")}
    if not challenged:
        return
    last: dict[tuple[str, str], tuple[int, Connection]] = {}
    for number, connection in enumerate(history.connections, 1):
        pair = connection.client_pair
        old = last.get(pair)
        last[pair] = number, connection
        if old is None or connection.server_node not in challenged or connection.client_node is None:
            continue
        called = connection.opened
        if any(
            called[0] - _ANSWERED <= float(reset["t"]) <= called[1] + _ANSWERED
            and reset["node"] == connection.client_node
            for reset in old[1].resets
        ):
            yield OldHalfMet(str(connection.server_node), connection.client_node, old[0], number)
