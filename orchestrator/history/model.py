"""The run as one ordered history: what is known, when it is known, and where it is not.

Sampled tables leave gaps. Two rules make the rest exact: a TCP socket never returns to a state that it has left, so a
socket seen in the same state by two ticks was in it all the time between; and a socket that no tick saw has still
moved the kernel's counters of opened connections. What remains is a gap: an open interval in which a socket was in
one of a few states, or in which some number of sockets lived unseen.

What there are many of for each socket are tuples: a large run has millions, and a tuple is made in a third of the time
of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from orchestrator.history.moves import NO_MOVES, Moves
from orchestrator.history.readings import QueueReading, TrafficReading
from orchestrator.recording.closing import OPEN as OPEN
from orchestrator.recording.closing import SIDES as SIDES
from orchestrator.recording.closing import Closing as Closing
from orchestrator.recording.closing import ClosingKind as ClosingKind
from orchestrator.recording.closing import Side as Side
from orchestrator.recording.closing import Witness as Witness
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record


class StateInterval(NamedTuple):
    """A socket known to be in `state` at every instant of the closed interval [first, last], in seconds."""

    state: TcpState
    first: float
    last: float


class UnknownInterval(NamedTuple):
    """The open interval (after, before): the socket was in some of `states` there; CLOSED stands for no socket."""

    after: float
    before: float
    states: frozenset[TcpState]


class MinisocketEnd(StrEnum):
    """What ended a TIME_WAIT, or an orphan in FIN_WAIT2."""

    EXPIRED = "expired"
    """Its time was over."""
    RESET = "reset"
    """A RST of the peer killed it."""
    REUSED = "reused"
    """A new connection took its address pair over."""


@record
class Socket:
    """One socket of one node from the first tick that saw it to the last. Stays and gaps alternate in time.

    A socket born between two ticks has a gap before its first stay, one that went away has a gap after its last.
    A socket that was there at the first tick has none before, one that outlived the last tick none after.
    """

    node: str
    sk: str
    local: str
    peer: str
    intervals: tuple[StateInterval, ...]
    unknown: tuple[UnknownInterval, ...]
    queues: tuple[QueueReading, ...]
    uid: int | None = None
    pid: int | None = None
    comm: str | None = None
    ended_by: MinisocketEnd | None = None
    """What ended it, when it ended as a minisocket; only a trace shows that."""
    owned: tuple[tuple[float, bool], ...] = ()
    """Whether a process had it open, as seen at a tick; a reading stands until the next one."""
    traffic: tuple[TrafficReading, ...] = ()
    """One for each tick at which something had gone over the wire since the one before, the first sight included;
    empty where no tick could tell."""
    probes: tuple[tuple[float, int | None], ...] = ()
    """How many keep-alive probes waited for an answer, as seen at a tick, at each change from 0; None: not told."""
    untimed: float | None = None
    """When a sample showed it in FIN_WAIT2 with a process that has it open and without any timer: nothing but that
    process or the peer ends such a one."""


@record
class Contradiction:
    """Two witnesses of one socket that cannot both be right. What depends on it is unknown around `t`, s of the run."""

    node: str
    sk: str
    local: str
    peer: str
    t: float
    witness: str
    """Who contradicts: `sample`, `ss`, `netstat`."""
    shown: TcpState
    """What that witness shows; CLOSED: no such socket."""
    held: frozenset[TcpState]
    """What the history had: the states that the socket can have been in then."""
    until: float | None = None
    """The last time at which they cannot both be right, where the witness showed that state on and on."""


@record
class Unobserved:
    """Up to `count` sockets of `node` lived inside the open interval (after, before), by the kernel's counters.

    They were in some of `states` there, each between two successive ticks: at none of the ticks inside. `least` to
    `most` of them got as far as ESTABLISHED; the others failed to connect.
    """

    node: str
    after: float
    before: float
    count: int
    least: int
    most: int
    states: frozenset[TcpState]


@record
class Flow:
    """What a NAT makes of one connection. A tuple is source and destination of a segment from client to
    server.

    Both times are intervals: it came to be, or was gone, after the first and by the second.
    """

    node: str
    original: tuple[str, str]
    """As the segment comes to the NAT."""
    translated: tuple[str, str]
    """As it leaves."""
    began: tuple[float, float]
    ended: tuple[float, float] | None = None
    """When its entry had expired; None when it had not by the end of the recording."""


@record
class Connection:
    """Both ends of one TCP connection, joined. `client` is the end that sent the SYN, where that is known."""

    client: Socket | None
    server: Socket | None
    opened: tuple[float, float]
    """The birth lies in this closed interval; it starts at -inf for one that was there at the first tick."""
    client_node: str | None = None
    server_node: str | None = None
    """Where the ends are, also when a socket was never seen; None for an address of no node."""
    closing: Closing = OPEN
    via: tuple[Flow, ...] = ()
    """The NATs that it passes through, as seen from the client."""
    unobserved_pair: tuple[str, str] | None = None
    """Local and peer address of the end that was not seen, where a NAT makes them others than those of the other."""
    resets: tuple[Event, ...] = ()
    """The RSTs that a trace shows of it, in order of time."""
    fins: Mapping[Side, float] | None = None
    """When the first FIN of each end left, by the segments; None where they are not recorded."""
    carried: Mapping[Side, int] | None = None
    """How many bytes each end sent before its FIN, by the sequence numbers of its segments, modulo 2**32; of those that
    sent one. None where segments are not recorded."""

    @property
    def closed(self) -> tuple[float, float] | None:
        """The interval of `closing`; None while both ends are open."""
        return self.closing.at

    def closed_by(self, t: float) -> Closing:
        """How it had been closed by `t`, seconds of the run: open when what closed it came later, or may have."""
        return self.closing if self.closing.at is not None and self.closing.at[1] <= t else OPEN

    @property
    def client_pair(self) -> tuple[str, str]:
        """Local and peer address, as the client's end has them."""
        return _pair(self.client, self.server, self.unobserved_pair)

    @property
    def server_pair(self) -> tuple[str, str]:
        """Local and peer address, as the server's end has them."""
        return _pair(self.server, self.client, self.unobserved_pair)

    @property
    def ends(self) -> tuple[Socket, ...]:
        """The ends that were seen, client first."""
        return tuple(end for end in (self.client, self.server) if end is not None)

    @property
    def established(self) -> bool:
        """Whether an end was seen with its handshake finished."""
        return any(state not in EMBRYONIC for end in self.ends for state, _, _ in end.intervals)


def _pair(end: Socket | None, other: Socket | None, unobserved: tuple[str, str] | None) -> tuple[str, str]:
    if end is not None:
        return end.local, end.peer
    assert other is not None, "a connection has at least one end"
    return unobserved or (other.peer, other.local)


@record
class History:
    """All that the judge may use. Times in seconds since the start of the run."""

    nodes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Service -> its nodes, for services with replicas; a name that stands for several."""
    addresses: Mapping[str, str]
    """Address -> node; of one that moved, the first that had it."""
    moments: Mapping[str, float]
    texts_took: Mapping[str, float]
    """Moment -> seconds after which the texts of ss and netstat were all there; without those that do not tell."""
    ticks: tuple[float, ...]
    """Times of the samples, in order. A tick stands for one instant, though it takes some milliseconds."""
    missed: Mapping[str, tuple[float, ...]]
    """Node -> ticks at which it could not be sampled: they say nothing about that node, its gaps extend over them."""
    sockets: tuple[Socket, ...]
    unobserved: tuple[Unobserved, ...]
    connections: tuple[Connection, ...]
    requests: tuple[Event, ...]
    served: tuple[Event, ...]
    """Requests that servers read whole, and gave to their handlers."""
    closed: tuple[Event, ...]
    """What our servers said on closing a connection, with their reasons."""
    counters: Mapping[str, Mapping[str, tuple[tuple[float, int], ...]]]
    """Node -> counter -> (t, absolute value) at each change, first reading included."""
    speaking: frozenset[str]
    """Nodes whose program reports what it served and closed: `served` and `closed_by` are decidable there."""
    asking: frozenset[str] = frozenset()
    """Nodes whose program reports its requests: `requests` and `errors` are decidable there."""
    resets: tuple[Event, ...] = ()
    """RST segments sent, with sender, address pair and the kernel's reason; only a trace shows them."""
    retransmits: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    """Node -> the segments that it sent again, as the trace shows them: one event each, which may stand for several."""
    retransmits_counted: Mapping[str, int] = field(default_factory=dict)
    """Node -> how many segments its kernel counted, where the trace shows fewer."""
    exact: bool = False
    """Whether sockets come from the kernel's trace, which the counters confirm: no gap is longer than an instant."""
    moves: Moves = NO_MOVES
    """Addresses that more than one node had."""
    shared: frozenset[str] = frozenset()
    """Nodes whose network namespace others may use: what the kernel counts there is theirs too, so nothing is exact."""
    answered: tuple[Event, ...] = ()
    """Responses that servers wrote whole."""
    loads: tuple[Event, ...] = ()
    """How clients kept to the rates that they were given."""
    raw: tuple[Event, ...] = ()
    """What became of the exchanges of steps `raw`."""
    begin: Event = field(default_factory=dict)
    end: Event = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    """Where witnesses do not agree. In a sound recording there is none."""
    filtered: tuple[Event, ...] = ()
    """The packets that faults took on their way: the `filtered` lines, in order of time."""
    logs: tuple[Event, ...] = ()
    """Lines of nodes' logs that explain what clients got: the `log` lines, as they were written."""
    conntrack: tuple[Event, ...] = ()
    """What stood in the conntrack tables of NATs at named moments: the `conntrack` lines, in order of time."""
    happened: tuple[Event, ...] = ()
    """What befell the nodes: the `node` lines (started, ready, killed, paused, ...), in order of time."""

    def addresses_at(self, t: float) -> Mapping[str, str]:
        """Address -> the node that had it then."""
        return self.moves.at(t, self.addresses)

    @property
    def until(self) -> float:
        """Until when the story goes: the moment `end`, or the last sample of a run that did not get there. What closes
        later is the lab being taken down."""
        return self.moments.get("end", self.ticks[-1] if self.ticks else 0.0)
