"""The shape of the report as JSON. `simctl schema report` prints the JSON Schema that these types make, and
docs/report-json.md tells the same to people. Times are seconds since the start of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from orchestrator.analysis.failures import Failure
from orchestrator.history.model import MinisocketEnd
from orchestrator.recording.closing import Closing
from orchestrator.recording.verdict import Outcome
from orchestrator.report.json.requests import LoadDocument, RequestCounts
from orchestrator.report.json.verdicts import VerdictDocument
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class ExitStatus(Data):
    """What simctl ends with for this run."""

    code: int
    """0 pass, 1 fail, 4 unknown."""
    meaning: str
    """The same in words."""


@record
class Between(Data):
    """A number that is known between two bounds."""

    min: int | float
    """At least."""
    max: int | float | None
    """At most; null where nothing bounds it."""


Span = tuple[float | None, float | None]
"""The interval in which an instant lies: from, to. Null where nothing bounds it."""


@record
class Stay(Data):
    """A state of a socket, with the time in which it was surely in it."""

    state: TcpState
    """The state."""
    first: float
    """From when it is known to have been in it."""
    last: float
    """Until when it is known to have been in it."""
    seconds: Between | None
    """How long it was in it; null while it had not left it."""
    orphaned: bool | None
    """Of a socket that is closing (FIN_WAIT1, FIN_WAIT2, CLOSING, LAST_ACK): whether no process had it open any more
    at the last reading in this state. An orphan in FIN_WAIT2 is one that was closed outright, another one was half
    closed (`shutdown`). Null for other states, and where no sample tells."""


@record
class StateGap(Data):
    """An open interval in which the state of a socket is not known."""

    after: float
    """It begins here."""
    before: float
    """It ends here."""
    states: tuple[TcpState, ...]
    """It was in some of these; CLOSED stands for no socket."""


@record
class SocketEnd(Data):
    """One end of a connection: a socket, from birth to death."""

    node: str
    """Where the socket is."""
    socket: str
    """Its name in the recording (`sk`)."""
    local: str
    """Its own address: `198.18.0.2:40000`."""
    peer: str
    """The address at the other end."""
    uid: int | None
    """Its owner's user, null when not known."""
    pid: int | None
    """The process that owns it, or did, null when not known."""
    program: str | None
    """That process's name."""
    ended_by: MinisocketEnd | None
    """What ended its TIME_WAIT, or its orphaned FIN_WAIT2; null where it did not end so, or no trace shows it."""
    stays: tuple[Stay, ...]
    """Its states in order."""
    gaps: tuple[StateGap, ...]
    """The times between them."""


@record
class ConnectionDocument(Data):
    """One TCP connection with both ends."""

    opened: Span
    """Its birth; from null when it was there at the first sample."""
    closed: Span | None
    """The first FIN or RST; null while both ends were open."""
    first_closer: str | None
    """The node that sent the first FIN or RST; null when the recording does not show it."""
    closing: Closing
    """Who closed it first, how, when, and what shows that."""
    first_close: str | None
    """The node whose program closed it first, by close(), shutdown() or its end; its FIN may have left later, or never.
    Null when nobody did, or the recording does not show who."""
    how: str
    """What ended it, or the observation that shows that, in words; empty while it is open."""
    client_node: str | None
    """Where the end is that sent the SYN; null for an address of no node."""
    server_node: str | None
    """Where the other end is."""
    via: tuple[str, ...]
    """The nodes in between that translate its addresses, as seen from the client."""
    requests: int | None
    """How many requests it carried; null when no client or server told, which is not 0."""
    close_reason: str | None
    """Why the server closed, where it is one of ours and said so; otherwise null."""
    client: SocketEnd | None
    """The end that sent the SYN; null when no sample showed it."""
    server: SocketEnd | None
    """The other end."""


@record
class UnobservedSockets(Data):
    """Sockets that the kernel counted and no sample showed."""

    node: str
    """Where they were."""
    after: float
    """They lived in the open interval that begins here."""
    before: float
    """They lived in the open interval that ends here."""
    count: int
    """At most so many."""
    established: Between
    """How many of them got ESTABLISHED."""
    states: tuple[TcpState, ...]
    """The states that they may have been in."""


@record
class NodeAtMoment(Data):
    """What a node had at a named moment."""

    sampled: bool
    """False when the node could not be sampled at this moment."""
    states: Mapping[TcpState, Between]
    """State -> number of sockets; states without sockets are left out."""
    close_wait_recv_q: Between | None
    """Smallest and largest Recv-Q of the sockets in CLOSE_WAIT, bytes; null when there is none."""
    conntrack: Mapping[str, int] | None
    """Of a NAT: state of an entry of its conntrack table -> how many for TCP were in it; null for other nodes."""


@record
class MomentDocument(Data):
    """A named moment of the run."""

    name: str
    """`start`, `STEP.start`, `STEP.end`, `end`."""
    t: float
    """When; moments of one instant have the same."""
    nodes: Mapping[str, NodeAtMoment]
    """Node -> what it had then."""


@record
class ContradictionDocument(Data):
    """Two witnesses of one socket that cannot both be right. What depends on the socket is unknown around `t`."""

    node: str
    """The node that has the socket."""
    sk: str
    """The socket's cookie, or another name of its own."""
    local: str
    """Its own address."""
    peer: str
    """The peer's address."""
    t: float
    """When."""
    witness: str
    """Who contradicts the history: `sample`, `ss`, `netstat`."""
    shown: TcpState
    """What that witness shows; CLOSED: no such socket."""
    held: tuple[TcpState, ...]
    """The states that the history held possible then."""
    until: float | None
    """The last time at which they cannot both be right, where the witness showed that state on and on; or null."""


@record
class ReportDocument(Data):
    """One run of a scenario, judged."""

    schema: int
    """Version of this format."""
    scenario: str
    """Name of the scenario."""
    matrix: Mapping[str, str]
    """Variable -> value, where the run is one of a matrix; empty for any other."""
    title: str
    """The scenario's one line; empty without."""
    runtime: str
    """Where the nodes lived: `netns`, `docker`, `vm`."""
    clock: str
    """`real` or `virtual`."""
    folder: str | None
    """The run's folder; null when there is none."""
    outcome: Outcome
    """The worst of all expectations."""
    exit_code: ExitStatus
    """What simctl ends with for this run."""
    duration: float | None
    """Length of the run, seconds."""
    wall: float | None
    """How long a run in virtual time really took, seconds; null in real time."""
    trouble: str
    """Why the run did not get to its end; empty when it did."""
    expectations: Mapping[Literal["total", "pass", "unknown", "fail"], int]
    """How many there are, and how many ended how."""
    verdicts: tuple[VerdictDocument, ...]
    """One per expectation, in the scenario's order."""
    story: tuple[str, ...]
    """Sentences: who closed first, where TIME_WAIT landed, what the clients got, until the moment `end`."""
    connections: tuple[ConnectionDocument, ...]
    """In order of birth, with all that was recorded of them, also after the moment `end`."""
    unseen: tuple[UnobservedSockets, ...]
    """Sockets that the kernel counted and no sample showed."""
    moments: tuple[MomentDocument, ...]
    """The named moments in order of time."""
    requests: Mapping[str, RequestCounts]
    """Client node -> what its requests came to."""
    raw: Mapping[str, Mapping[str, int]]
    """Client node -> how its exchanges of steps `raw` ended, `done` or the name of an error -> how many."""
    failures: tuple[Failure, ...]
    """Requests that failed through a proxy, the first 100 of which a cause is seen or a log says something."""
    loads: tuple[LoadDocument, ...]
    """Requests at a rate, in order of their ends: how their clients kept to it."""
    counters: Mapping[str, Mapping[str, int]]
    """Node -> kernel counter -> its value at the end of the run."""
    contradictions: tuple[ContradictionDocument, ...]
    """Where two witnesses of one socket cannot both be right."""
    notes: tuple[str, ...]
    """What the reader should know."""
