"""Whose program closed a connection first: the call of close() or shutdown(), or its end, which closes for it.

That is not who sent the first FIN (closing.py): a FIN waits behind data that the peer has no room for, gets lost, or
is never sent because a RST goes first. A call shows as the change of a state: to FIN_WAIT1 or LAST_ACK, or, where a RST
is sent instead of a FIN, from an open state to CLOSED with that RST.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import SIDES, ClosingKind, Connection, Side, Socket
from orchestrator.history.ownresets import ONE_RST
from orchestrator.history.votes import end_of, leaves_open, node_of
from orchestrator.tcp.lifecycle import PASSIVE_CLOSE, SENT_FIN
from orchestrator.tcp.states import TcpState

_BY_CALL = frozenset({"TCP_ABORT_ON_CLOSE", "TCP_STATE", "TCP_DISCONNECT_WITH_DATA"})
"""The kernel's reasons (enum sk_rst_reason) for a RST that a program brings about: unread data, SO_LINGER 0."""

_UNNAMED = frozenset({"", "NOT_SPECIFIED"})


class Call(NamedTuple):
    """A call of `side`'s program inside the interval (after, before), s of the run; or perhaps none (not `sure`)."""

    side: Side
    after: float
    before: float
    sure: bool


def first_calls(connection: Connection, *, exact: bool) -> list[tuple[Call, bool]]:
    """The calls that may have been the first, each with whether it surely was. None of a connection that never came
    about. `exact`: whether the kernel's trace covers the run."""
    if not connection.established:
        return []
    calls = {side: _call(connection, side, exact=exact) for side in SIDES}
    closer = connection.closing.side if connection.closing.kind is ClosingKind.FIN else None
    first = calls[closer] if closer is not None else None
    if not exact and first is not None and first.sure:
        # Samples show what that FIN led to at the other end: that one closed when it had come.
        return [(first, True)]
    found = []
    for side, call in calls.items():
        other = calls[side.other]
        if call is None or (other is not None and other.sure and other.before <= call.after):
            continue
        alone = other is None or call.before <= other.after
        found.append((call, call.sure and alone))
    return found


def first_to_close(connection: Connection, *, exact: bool) -> str | None:
    """The node whose program closed first; None when nobody did, or the recording does not show who."""
    sure = [call.side for call, surely in first_calls(connection, exact=exact) if surely]
    return node_of(connection, sure[0]) if len(sure) == 1 else None


def _call(connection: Connection, side: Side, *, exact: bool) -> Call | None:
    """None when the program of that side surely did not close, or only after it was over."""
    end = end_of(connection, side)
    if end is None:
        return _of_unseen(connection, side)
    closed = next((interval for interval in end.intervals if interval.state in SENT_FIN), None)
    if closed is not None:
        gap = next((gap for gap in end.unknown if gap.before == closed.first), None)
        return Call(side, closed.first if gap is None else gap.after, closed.first, sure=True)
    left = leaves_open(end)
    if left is None and end.intervals[-1].state is not TcpState.CLOSE_WAIT:
        return None
    if death(end) == math.inf:
        return None
    gone = _last_gap(end)
    if not exact:
        return Call(side, *gone, sure=False)
    own = (reset for reset in connection.resets if (reset["local"], reset["peer"]) == (end.local, end.peer))
    reasons = {str(reset.get("reason") or "") for reset in own if abs(float(reset["t"]) - gone[1]) <= ONE_RST}
    if reasons & _BY_CALL:
        return Call(side, *gone, sure=True)
    return Call(side, *gone, sure=False) if reasons & _UNNAMED else None


def _of_unseen(connection: Connection, side: Side) -> Call | None:
    """Of an end that nothing shows: it closed before the other one got its FIN, or perhaps at any time."""
    other = end_of(connection, side.other)
    assert other is not None, "a connection has at least one end"
    told = next((interval for interval in other.intervals if interval.state in PASSIVE_CLOSE), None)
    if told is not None:
        return Call(side, birth(other)[0], told.first, sure=True)
    if connection.closing.kind is ClosingKind.OPEN:
        return None
    return Call(side, birth(other)[0], death(other), sure=False)


def _last_gap(end: Socket) -> tuple[float, float]:
    last = end.intervals[-1].last
    return last, max(last, death(end))
