"""What the sentence above a ladder tells, as values: who closed first, how, and why; what that left behind."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.analysis.ladder.notes import Befell, Note, OwnAccount, Party
from orchestrator.analysis.timers import Timer
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class Through(Data):
    """A NAT on the way. `forgot`: its entry had expired before an end closed."""

    node: str
    forgot: bool


@record
class NeverEstablished(Note):
    """No end ever had its handshake finished. `refused`: the server's node answered with a RST; `by_step`: it never had
    the SYN, the fault of a step refused it; else `gave_up` is the node that gave up, None when no answer was seen."""

    refused: bool
    gave_up: str | None
    by_step: str | None = None


@record
class Simultaneous(Note):
    """Both ends closed at the same time. `crossed`: their FINs are known to have been under way together."""

    crossed: bool


@record
class OpenToTheEnd(Note):
    """Nobody closed."""


@record
class Closed(Note):
    """It was closed, and nothing more is known. `before`: before the recording began."""

    before: bool


@record
class GaveUpAlone(Note):
    """No answer came, so neither FIN nor RST ended it. `again`: the retransmissions of the node in the trace."""

    node: str
    again: int = 0


@record
class ClosedFirst(Note):
    """`node` did, None: the recording does not show who."""

    node: str | None


@record
class ClosedBehindData(Note):
    """An end closed first, and its FIN waited behind so many bytes; None: it is not known how many."""

    end: Party
    unacknowledged: int | None


class Fate(StrEnum):
    """What became of a segment."""

    ARRIVED = "arrived"
    WAITED = "waited"
    """Behind data."""
    LOST_AT_FIRST = "lost-at-first"
    NEVER_ARRIVED = "never-arrived"


@record
class Pause(Data):
    """What went before: idleness, or a wait for an answer; shortest and longest, seconds. `begun`: a part of the answer
    had come. `at_work`: the server had told that it had taken the request up. `timer`: that of the closer which fits;
    None where it tells its reason itself."""

    least: float
    most: float
    unanswered: bool
    begun: bool = False
    at_work: bool = False
    timer: Timer | None = None


@record
class ClosingSegment(Note):
    """The FIN or RST that closed the connection. `by` is who sent it: an end, or a node in between. `then`: something
    else was told before. `account`: what the server's program says; `ended`: what ended the sender's program.
    `unanswered_probes`: the end that did not answer keep-alive probes."""

    rst: bool
    by: Party
    between: str | None
    then: bool
    fate: Fate
    unacknowledged: int | None
    pause: Pause | None
    account: OwnAccount | None
    ended: Befell | None
    unanswered_probes: Party | None


@record
class ClosedUnaware(Note):
    """The other end closed so much later, without having seen the first FIN; seconds."""

    end: Party
    least: float
    most: float


@record
class Failures(Note):
    """Requests that failed, by the names of their errors, in order of time."""

    errors: tuple[str, ...]


@record
class TimeWaitLanded(Note):
    """Where; empty when none was seen although a FIN was sent."""

    nodes: tuple[str | None, ...]


@record
class Left(Note):
    """Ends that are half closed when the recording ends: state and node."""

    ends: tuple[tuple[TcpState, str | None], ...]


@record
class Headline(Data):
    """`via`: the NATs on the way, as seen from the client. `parts` in the order in which they are said."""

    via: tuple[Through, ...]
    parts: tuple[Note, ...]
