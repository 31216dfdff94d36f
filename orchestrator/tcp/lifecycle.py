"""The life of a TCP socket: which states can follow which (RFC 9293, sections 3.3.2, 3.6 and 3.10, and Linux).

A Linux socket goes through this graph once, from birth to CLOSED. It has no cycle: a listening socket stays in
LISTEN, and each connection that it accepts is a socket of its own, born in SYN_RECV.
"""

from __future__ import annotations

from functools import cache

from orchestrator.tcp.states import TcpState

_S = TcpState

ARCS: dict[TcpState, frozenset[TcpState]] = {
    _S.CLOSED: frozenset({_S.SYN_SENT, _S.SYN_RECV, _S.LISTEN}),
    # SYN_SENT -> SYN_RECV is the simultaneous open.
    _S.SYN_SENT: frozenset({_S.SYN_RECV, _S.ESTABLISHED, _S.CLOSED}),
    _S.SYN_RECV: frozenset({_S.ESTABLISHED, _S.FIN_WAIT1, _S.CLOSE_WAIT, _S.CLOSED}),
    _S.ESTABLISHED: frozenset({_S.FIN_WAIT1, _S.CLOSE_WAIT, _S.CLOSED}),
    # FIN_WAIT1 -> CLOSING is the simultaneous close; -> TIME_WAIT when one segment carries the ACK and the peer's FIN.
    _S.FIN_WAIT1: frozenset({_S.FIN_WAIT2, _S.CLOSING, _S.TIME_WAIT, _S.CLOSED}),
    _S.FIN_WAIT2: frozenset({_S.TIME_WAIT, _S.CLOSED}),
    _S.CLOSING: frozenset({_S.TIME_WAIT, _S.CLOSED}),
    _S.CLOSE_WAIT: frozenset({_S.LAST_ACK, _S.CLOSED}),
    _S.LAST_ACK: frozenset({_S.CLOSED}),
    _S.TIME_WAIT: frozenset({_S.CLOSED}),
    _S.LISTEN: frozenset({_S.CLOSED}),
}
"""State -> the states that one event (a segment, a call, a timer) can lead to. CLOSED stands for no socket: out of it
a socket is born, into it a RST, a timeout or the end of the conversation leads from everywhere."""

EMBRYONIC = frozenset({_S.SYN_SENT, _S.SYN_RECV})
"""The handshake is not finished."""

ACTIVE_CLOSE = frozenset({_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSING, _S.TIME_WAIT})
"""This end sent its FIN before it had read the peer's."""

PASSIVE_CLOSE = frozenset({_S.CLOSE_WAIT, _S.LAST_ACK})
"""The peer's FIN came before this end sent one."""

CLOSING_STATES = frozenset({_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSING, _S.LAST_ACK})
"""This end sent its FIN and its socket is not yet a TIME_WAIT: a process may still have it open (`shutdown`), or not
(an orphan, tcp_orphan_retries and tcp_fin_timeout are for those)."""

SENT_FIN = CLOSING_STATES | {_S.TIME_WAIT}
"""This end has closed: its FIN is sent, or waits behind data that is not acknowledged."""

MINISOCKETS = frozenset({_S.FIN_WAIT2, _S.TIME_WAIT})
"""States that Linux keeps in a small structure of its own once the descriptor is closed (net/ipv4/tcp_minisocks.c)."""

BIRTHS = ((_S.CLOSED, _S.SYN_SENT), (_S.LISTEN, _S.SYN_RECV))
"""The changes with which the kernel reports a connection's socket for the first time; that of an accepted one leaves
LISTEN, because it is a copy of the listening one. A listening socket that begins or ends is no connection's."""

TIME_WAIT_SECONDS = 60.0
"""TCP_TIMEWAIT_LEN of include/net/tcp.h; Linux timers are never early."""


@cache
def later(state: TcpState) -> frozenset[TcpState]:
    """The states in which the same socket can still come to be, CLOSED included, `state` excluded."""
    found: set[TcpState] = set()
    ahead = list(ARCS[state])
    while ahead:
        reached = ahead.pop()
        if reached not in found:
            found.add(reached)
            # Life ends in CLOSED: what is born there later is another socket.
            ahead.extend(() if reached is TcpState.CLOSED else ARCS[reached])
    return frozenset(found)


@cache
def between(start: TcpState, end: TcpState) -> frozenset[TcpState]:
    """Every state on some path from `start` to `end`, both included. Raises ValueError when there is no path."""
    if end not in later(start):
        raise ValueError(f"no socket goes from {start} to {end}")
    inside = {state for state in later(start) if state is not TcpState.CLOSED and end in later(state)}
    if start is TcpState.CLOSED and end is TcpState.CLOSED:
        inside.discard(TcpState.LISTEN)  # a whole life unseen is asked about connections only
    return frozenset(inside | {start, end})
