"""One socket as the kernel's trace shows it, before samples are asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from orchestrator.history.model import MinisocketEnd
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState

_AT_ONCE = 0.001
"""Seconds."""


@dataclass(slots=True)
class TracedLife:
    """One socket: (time, state it entered), oldest first. Times are s of the run."""

    node: str
    local: str
    peer: str
    changes: list[tuple[float, TcpState]] = field(default_factory=list)
    mini: float | None = None
    """When it became a minisocket that waits for the peer's FIN, or for the end of its time if that has come."""
    rearmed: list[float] = field(default_factory=list)
    """When the timer of its minisocket was started again."""
    answered: float | None = None
    """When its minisocket answered a segment with a RST, and was gone: only one in FIN_WAIT2 does."""
    reset_received: float | None = None
    """When a RST came for the full socket."""
    sent_again: list[float] = field(default_factory=list)
    """When it retransmitted."""
    ended: float | None = None
    ended_by: MinisocketEnd | None = None
    reset_at: float | None = None
    """When a RST came for its minisocket, which may have survived it."""
    cookie: str = ""

    @property
    def born(self) -> float:
        return self.changes[0][0]

    @property
    def up(self) -> float:
        """When its handshake was over, or it was."""
        return next((t for t, state in self.changes if state not in EMBRYONIC), self.over)

    @property
    def state(self) -> TcpState:
        return self.changes[-1][1]

    @property
    def over(self) -> float:
        """When it ended, inf when it did not: for a minisocket the RST that came for it, unless its timer expired."""
        if self.reset_at is not None and self.ended_by is not MinisocketEnd.EXPIRED:
            return self.reset_at
        return math.inf if self.ended is None else self.ended

    @property
    def timed_out(self) -> float | None:
        """When its minisocket's time was over, None when something else ended it, or nothing."""
        return self.ended if self.ended_by is MinisocketEnd.EXPIRED else None

    @property
    def fruitless(self) -> bool:
        """Whether its call may have sent nothing: connect() found no free port or address (EADDRNOTAVAIL). The kernel
        reports SYN_SENT all the same, and the end of it some microseconds later. One that sent its SYN and was closed
        in the same moment looks alike."""
        if len(self.changes) > 1 or self.changes[0][1] is not TcpState.SYN_SENT:
            return False
        answered = self.reset_received is not None or bool(self.sent_again)
        return not answered and self.ended is not None and self.ended - self.born < _AT_ONCE

    @property
    def portless(self) -> bool:
        """Whether it ended without ever having had a port: then it surely sent nothing."""
        return self.local.endswith(":0") and self.ended is not None

    def entered(self, state: TcpState) -> float | None:
        """When it entered a state, None when it never did."""
        return next((t for t, entered in self.changes if entered is state), None)
