"""The ladder of one connection as data: rows in order of time, to be drawn by `ladderdraw` or by anybody else.

A row is one thing that happened between two ends, or at one of them. Its interval [after, before] is all that the
recording knows of its time: zero-width, or nearly, where the kernel's trace saw it; the distance of two samples
elsewhere. Rows are in an order that the truth can have had: no row's `before` lies before an earlier row's `after`.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.headlinenotes import Headline
from orchestrator.analysis.ladder.notes import Note
from orchestrator.history.model import Side
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record


class RowKind(StrEnum):
    BEGIN = "begin"
    """The connection was there already when the recording began."""
    SEGMENT = "segment"
    """One TCP segment from `sender`."""
    CROSSING = "crossing"
    """Two FINs under way at the same time, one from each end."""
    RETRANSMIT = "retransmit"
    """A segment that `sender` retransmitted; many in one row: the interval is the stretch of time that they took."""
    REQUEST = "request"
    """A request on its way to the server, which took it up, as far as the recording can tell."""
    UNSERVED = "unserved"
    """A request that the server's program, which tells what it serves, never took up."""
    RESPONSE = "response"
    ERROR = "error"
    """What the client's program got instead of a response."""
    REQUESTS = "requests"
    """Many exchanges in one row: the interval is the stretch of time that they took."""
    TRAFFIC = "traffic"
    """Data went over the wire, and no program reports what: the interval is the stretch of time that it took."""
    STATE = "state"
    """An end changed its state, and no segment explains it: a timer, the end of a process, or nothing is known."""
    QUEUE = "queue"
    """A queue that stands: the program does not read, or the peer does not acknowledge."""
    PROGRAM = "program"
    """What the server's program says that it did."""
    NODE = "node"
    """What simctl did to a node: killed, paused, cut off, ..."""
    STEP = "step"
    """A step of the scenario began."""
    SILENCE = "silence"
    """Nothing happened; its `Silence` has how long."""
    END = "end"
    """The recording ends, and something of the connection is left."""


STRETCHES = (RowKind.REQUESTS, RowKind.RETRANSMIT, RowKind.TRAFFIC)
"""Rows whose interval is the stretch of time that many things took; of one thing alone it is known as exactly."""

Queue = tuple[str, int]
"""`Recv-Q` or `Send-Q`, and its bytes."""


@record
class End:
    """One end after the row: its state (None: not there yet or never seen; CLOSED: gone), and whether the row changed
    it. `queue` is what one of its queues tells there: `Recv-Q` or `Send-Q`, and bytes."""

    state: TcpState | None = None
    changed: bool = False
    queue: Queue | None = None


@record
class Row:
    """See the top of this file. Times in seconds of the run; -inf where nothing bounds them. Names are as they came
    from the nodes: whoever shows them makes them harmless."""

    after: float
    before: float
    kind: RowKind
    says: tuple[Note, ...] = ()
    """What happened; several where two changes share the row."""
    client: End = End()
    server: End = End()
    sender: Side | None = None
    """From which end the arrow goes; None for rows without one."""
    flags: Flags | None = None
    """Of a segment."""
    notes: tuple[Note, ...] = ()
    """What stands below it."""
    lost: bool = False
    """What `sender` sent got lost on the way: the other end surely did not notice it."""
    arrives: bool = False
    """The change of state shows that a FIN came."""
    by: str | None = None
    """A node between the two ends that sent it, as if it were `sender`, which knows nothing of it."""
    unproven: bool = False
    """Nothing shows that what `sender` sent came to the other end, and nothing that it did not."""
    awaits: bool | None = False
    """Whether an answer is due after the row; None: one may have come, which nobody would have reported."""

    def end(self, side: Side) -> End:
        return self.client if side is Side.CLIENT else self.server


@record
class Head:
    """Who stands above a column. `seen` is false when no sample showed that end's socket."""

    name: str
    address: str
    program: str = ""
    pid: int | None = None
    seen: bool = True
    of_lab: bool = True
    """Whether its node is one of the run."""


@record
class Ladder:
    """One connection, ready to be drawn. `headline` says who closed first, how and why, and what that left behind."""

    name: str
    headline: Headline
    client: Head
    server: Head
    rows: tuple[Row, ...]
    footnotes: tuple[Note, ...] = ()

    def head(self, side: Side) -> Head:
        return self.client if side is Side.CLIENT else self.server
