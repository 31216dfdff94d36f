"""Evidence of a verdict, one class for each kind: what was seen, where and when. Times are seconds of the run.

`sk` is a socket's name in the recording: the one of the lines `socket` of events.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.recording.closing import Closing
from orchestrator.recording.socketevidence import Gap as Gap
from orchestrator.recording.socketevidence import OfSocket as OfSocket
from orchestrator.recording.socketevidence import SocketBorn as SocketBorn
from orchestrator.recording.socketevidence import SocketSeen as SocketSeen
from orchestrator.recording.socketevidence import StateLasted as StateLasted
from orchestrator.recording.socketevidence import StatePossible as StatePossible
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record(kw_only=True)
class SocketsUnobserved(Data):
    """Sockets that the kernel counted and no sample showed."""

    kind: Literal["unobserved"] = "unobserved"
    node: str
    """Where they were."""
    count: int
    """At most so many."""
    after: float
    """They lived inside of the open interval that begins here."""
    before: float
    """They lived inside of the open interval that ends here."""
    state: TcpState | None = None
    """The state in question, in which they may have been; null where all of them count."""


@record(kw_only=True)
class ConnectionSeen(Data):
    """A connection, and what is known of its end."""

    kind: Literal["connection"] = "connection"
    client_node: str | None
    """Where the end is that sent the SYN; null for an address of no node."""
    client: str
    """Its address, as it has it itself."""
    client_sk: str | None
    """Its socket; null when no sample showed it."""
    server_node: str | None
    """Where the other end is."""
    server: str
    """Its address, as it has it itself."""
    server_sk: str | None
    """Its socket; null when no sample showed it."""
    via: tuple[str, ...]
    """Nodes in between that translate addresses."""
    closing: Closing
    """Who closed it first, and what shows that."""
    unobserved_end: str | None = None
    """The node whose end was counted by its kernel and seen by no sample."""


@record(kw_only=True)
class RequestSeen(Data):
    """A request, as the client reported it."""

    kind: Literal["request"] = "request"
    node: str
    """The client."""
    t: float
    """When it ended."""
    step: str | None
    """The step that it belongs to."""
    method: str | None
    """`GET`; null where the client told none."""
    url: str | None
    """What was asked for."""
    result: str | None
    """The HTTP status, or what a data store answered; null for neither."""
    error: str | None
    """Name of the error; null when it did not fail."""
    error_text: str | None
    """What the error says."""
    local: str | None
    """The client's address; null when it got no connection."""
    peer: str | None
    """The server's address, as the client has it."""
    nth: int | None
    """Its place among the requests of its connection, from 1; null when not known."""
    took: float | None = None
    """Seconds from the call of its library to the end; null where that was not asked, or is not known."""


@record(kw_only=True)
class ReportSeen(Data):
    """What a server reported of a request that it served, or of a connection that it closed."""

    kind: Literal["report"] = "report"
    node: str
    """The server."""
    t: float
    """When."""
    what: Literal["served", "closed"]
    """Which of the two."""
    reason: str | None
    """Why it closed; null for a request."""
    method: str | None
    """Of a request."""
    path: str | None
    """Of a request."""
    local: str | None
    """The server's address."""
    peer: str | None
    """The client's address, as the server has it."""


@record(kw_only=True)
class SegmentSeen(Data):
    """A segment of the kernel's trace."""

    kind: Literal["segment"] = "segment"
    node: str
    """Who sent it."""
    t: float
    """When."""
    what: Literal["rst", "retransmit"]
    """A RST, or a retransmission."""
    state: str | None
    """Of a retransmission: the sender's state."""
    reason: str | None
    """Of a RST: the kernel's reason, where it gives one."""
    local: str
    """The sender's address."""
    peer: str
    """The receiver's address."""


@record(kw_only=True)
class CounterRead(Data):
    """A kernel counter at both ends of the window."""

    kind: Literal["counter"] = "counter"
    node: str
    """Whose kernel."""
    name: str
    """As in /proc/net/snmp: `OutRsts`."""
    start: float
    """Where the window starts."""
    first: int
    """The counter's value there, at least."""
    end: float
    """Where the window ends."""
    last: int
    """The counter's value there, at most."""


@record(kw_only=True)
class ConnectionCarried(Data):
    """How many requests one connection of a client carried."""

    kind: Literal["carried"] = "carried"
    node: str
    """The client."""
    local: str
    """The connection's address there."""
    peer: str | None
    """The address at the other end."""
    requests: int
    """Requests of the window, failed ones included."""


@record(kw_only=True)
class BytesMoved(Data):
    """How many bytes of data an end of a connection sent, or received, in the window."""

    kind: Literal["bytes"] = "bytes"
    node: str
    """Where the end is."""
    connection: ConnectionSeen
    """The connection."""
    least: int
    """At least so many."""
    most: int | None
    """At most so many; null where nothing bounds it."""


@record(kw_only=True)
class ConntrackRead(Data):
    """What a NAT's conntrack table had when it was read."""

    kind: Literal["conntrack"] = "conntrack"
    node: str
    """The NAT."""
    t: float
    """When."""
    entries: Mapping[str, int]
    """State of an entry -> how many for TCP were in it."""


Evidence = Annotated[
    SocketSeen
    | SocketBorn
    | StateLasted
    | StatePossible
    | SocketsUnobserved
    | ConnectionSeen
    | RequestSeen
    | ReportSeen
    | SegmentSeen
    | CounterRead
    | ConnectionCarried
    | BytesMoved
    | ConntrackRead,
    Field(discriminator="kind"),
]


def sockets_of(item: Evidence) -> frozenset[tuple[str, str]]:
    """Node and `sk` of each socket that the item speaks of."""
    match item:
        case OfSocket():
            return frozenset({(item.node, item.sk)})
        case ConnectionSeen():
            ends = ((item.client_node, item.client_sk), (item.server_node, item.server_sk))
            return frozenset((node, sk) for node, sk in ends if node is not None and sk is not None)
        case BytesMoved():
            return sockets_of(item.connection)
    return frozenset()


def addresses_of(item: Evidence) -> frozenset[str]:
    """The addresses of an item that names no socket: what a program reported, a segment."""
    match item:
        case RequestSeen() | ReportSeen() | SegmentSeen() | ConnectionCarried():
            return frozenset(address for address in (item.local, item.peer) if address)
        case ConnectionSeen() if item.client_sk is None and item.server_sk is None:
            return frozenset({item.client, item.server})
        case BytesMoved():
            return addresses_of(item.connection)
    return frozenset()
