"""What a ladder's rows and footnotes tell, as values. report/words/ladder says them in words; JSON has both.

Times are in seconds, sizes in bytes. A node that has no name, because its address is no node's, is None.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.analysis.ladder.flags import Flags
from orchestrator.history.model import MinisocketEnd, Side
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


class Note(Data):
    """One remark."""


@record
class Party(Data):
    """An end, by its node where it is one's."""

    side: Side
    node: str | None


@record
class Sent(Note):
    """A segment, or one that was retransmitted."""

    flags: Flags
    again: bool = False


@record
class SentAgain(Note):
    """Many retransmissions in a row. `at_least`: the kernel counted more than the trace shows."""

    flags: Flags
    count: int
    at_least: bool
    seconds: float


@record
class NotTakenUp(Note):
    """A SYN that led to nothing on the server's node."""

    node: str | None


@record
class ResetReason(Note):
    """Why a kernel sent a RST, by its own name (enum sk_rst_reason)."""

    reason: str
    sender: Side


@record
class FilterRule(Note):
    """A RST that a rule of a packet filter sent."""


@record
class CounterRose(Note):
    """No trace shows a RST; the counter OutRsts of the node does."""

    node: str | None


# -- programs --------------------------------------------------------------------------------------------------------


@record
class Request(Note):
    """`GET /`, as the program said; `whole`: all of it was sent."""

    request: str
    whole: bool = True


@record
class NotServed(Note):
    """The server's program never took the request up."""

    node: str | None


@record
class ServedLate(Note):
    """The server's program took a request up after its client had given up."""

    node: str | None
    request: str


@record
class Outcome(Note):
    """What became of a request: status, error, or both. `seconds` until the client's program had it; None where only
    the server reports it."""

    status: str
    error: str
    seconds: float | None


@record
class UnreadAnswer(Note):
    """What the server wrote, by its status, and no program of the client got. `late`: it had given up before."""

    status: str
    late: bool


@record
class MoreRequests(Note):
    """Many requests in one row. `outcomes`: status or error, and how many, the most frequent first; "" where there was
    none, None where nobody would have reported one. `known`: whether that of the first would have been reported."""

    count: int
    seconds: float
    outcomes: tuple[tuple[str | None, int], ...]
    known: bool


@record
class OwnAccount(Note):
    """What the server's program says of its closing."""

    node: str | None
    reason: str


@record
class Unreported(Note):
    """Data of which no program tells, from the client's view."""

    sent: int
    received: int


# -- states ----------------------------------------------------------------------------------------------------------


@record
class AlreadyThere(Note):
    """The connection is older than the recording."""


@record
class CutShort(Note):
    """A TIME_WAIT that did not last its time, and what ended it."""

    least: float
    most: float
    by: MinisocketEnd | None


@record
class StateOver(Note):
    """A state that ended by a timer, and how long it lasted, where that is known."""

    state: TcpState
    least: float | None
    most: float | None


@record
class GaveUp(Note):
    """No answer came. `calling`: to its SYN."""

    calling: bool


@record
class LastAckOver(Note):
    """By an ACK or a RST."""


@record
class Gone(Note):
    """The recording does not show how."""


@record
class FinWaits(Note):
    """An end closed, and its FIN waits behind data: so many bytes, None: it is not known how many."""

    end: Party
    unacknowledged: int | None


@record
class Arrives(Note):
    """A FIN or an ACK of that end."""

    flags: Flags
    sender: Party


@record
class BothFinsArrive(Note):
    """At the same time."""


@record
class DoesNotRead(Note):
    """Data stands in the node's Recv-Q."""

    node: str | None


@record
class ReadsTheEnd(Note):
    """The node's program has read the FIN."""

    node: str | None


@record
class NotAcknowledged(Note):
    """Data stands in a Send-Q."""


# -- around the connection -------------------------------------------------------------------------------------------


@record
class Befell(Note):
    """What a step did to a node (`kill`), on one of its networks, or to `packets` (`FIN from server to client`); or to
    what has this `name`, an address as others write it."""

    node: str
    what: str
    network: str | None
    packets: str | None = None
    name: str | None = None


@record
class Forgot(Note):
    """A NAT has dropped its entry."""

    node: str


@record
class Steps(Note):
    """Steps of the scenario that begin, or, in the background, end."""

    names: tuple[str, ...]
    end: bool = False


class Quiet(StrEnum):
    """What a silence is."""

    IDLE = "idle"
    IDLE_AT_FIRST = "idle-at-first"
    """Idle until the last sample; nothing tells whether data was under way after it."""
    BUSY = "busy"
    """Data was under way."""
    PERHAPS = "perhaps"
    """Nothing tells whether data was."""
    NO_ANSWER_YET = "no-answer-yet"
    """A request waits for its answer."""
    NO_WHOLE_ANSWER_YET = "no-whole-answer-yet"
    """A part of it has come."""
    AT_WORK = "at-work"
    """So it does, and the server's program has taken it up."""
    NO_ANSWER = "no-answer"
    """A SYN does."""
    OTHER = "other"


@record
class Silence(Note):
    """Nothing happened."""

    least: float
    most: float
    what: Quiet
    idle: float | None = None
    """Seconds from its beginning that are known to be idle; with `idle-at-first` only."""
