"""The states of TCP, by the names of RFC 9293."""

from __future__ import annotations

from enum import StrEnum


class TcpState(StrEnum):
    """The states of RFC 9293, plus CLOSED for a socket that is gone from the kernel's tables."""

    SYN_SENT = "SYN_SENT"
    SYN_RECV = "SYN_RECV"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT1 = "FIN_WAIT1"
    FIN_WAIT2 = "FIN_WAIT2"
    CLOSE_WAIT = "CLOSE_WAIT"
    LAST_ACK = "LAST_ACK"
    CLOSING = "CLOSING"
    TIME_WAIT = "TIME_WAIT"
    LISTEN = "LISTEN"
    CLOSED = "CLOSED"


GAUGE_STATES = tuple(state for state in TcpState if state is not TcpState.CLOSED)
"""States that a socket table can show."""
