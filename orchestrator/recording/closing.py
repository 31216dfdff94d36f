"""Who closed a connection first, as one value. history/closing.py decides it; histories and verdicts carry it."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


class Side(StrEnum):
    """An end of a connection: the one that sent the SYN, and the other."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def other(self) -> Side:
        return Side.SERVER if self is Side.CLIENT else Side.CLIENT


SIDES = tuple(Side)
"""Both: to go through an enum takes several times as long as through a tuple."""


class ClosingKind(StrEnum):
    """What closed a connection first."""

    OPEN = "open"
    """Nothing yet: both ends are open."""
    FIN = "fin"
    RST = "rst"
    SIMULTANEOUS = "simultaneous"
    """A FIN of each end: they crossed, or each was sent before the other had arrived."""
    TIMEOUT = "timeout"
    """Neither FIN nor RST: the kernel of one end gave up for want of an answer. Only a trace shows that."""
    UNKNOWN = "unknown"
    """It was closed, and the recording does not show by whom."""


@record
class Witness(Data):
    """What shows who closed first: on `node` a socket was seen in `state`, or the program met `error`."""

    node: str
    """Where."""
    state: TcpState | None = None
    """The state; null where it is the error that shows it."""
    error: str = ""
    """Name of the program's error; empty where it is the state that shows it."""


@record
class Closing(Data):
    """Who closed a connection first, how, when, and what shows it. history/closing.py decides it."""

    kind: ClosingKind = ClosingKind.OPEN
    """What closed it."""
    side: Side | None = None
    """The end that sent the FIN or RST, or gave up; of a RST that a NAT sent, the end in whose name it did. None for
    the kinds that name nobody."""
    by: str | None = None
    """The node that did: that of `side`, or the NAT. None also for an end that belongs to no node."""
    reason: str = ""
    """Of a RST: the kernel's name for why it was sent, where it tells."""
    witnesses: tuple[Witness, ...] = ()
    """States that show the FIN of `side`, or of both sides."""
    traced: bool = False
    """Whether the moment itself is recorded: the segment as it entered the network, or the kernel's trace; else samples
    show what it led to."""
    at: tuple[float, float] | None = None
    """The closed interval, seconds of the run, in which the first FIN or RST was sent or an end gave up; None while
    both are open."""
    lost: bool = False
    """Whether a FIN was sent first and surely did not arrive; of a timeout: that of the other end."""
    abandoned: str | None = None
    """The node whose kernel gave the connection up for want of an answer, after somebody had closed it."""

    @property
    def first_closer(self) -> str | None:
        """The node that sent the first FIN or RST; None when nobody did, both did, or the recording does not show
        it."""
        return self.by if self.kind in (ClosingKind.FIN, ClosingKind.RST) else None

    @property
    def gave_up(self) -> str | None:
        """The node whose kernel ended the connection for want of an answer."""
        return self.by if self.kind is ClosingKind.TIMEOUT else self.abandoned


OPEN = Closing()
