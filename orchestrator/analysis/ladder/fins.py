"""The FIN of an end: when it was sent, and what it waited for. close() is one moment, the segment another."""

from __future__ import annotations

import math
from typing import NamedTuple

from orchestrator.analysis.ladder.ends import GOT_FIN, Change, Life
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.losses import Losses, unacknowledged
from orchestrator.analysis.ladder.segment import UNDER_WAY, Segment
from orchestrator.history.model import Connection, History, Side
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import SENT_FIN
from orchestrator.tcp.states import TcpState

_S = TcpState

_AT_ONCE = 0.005
"""Seconds from an end's change of state to its FIN on the wire, where it waits for nothing."""


class Fin(NamedTuple):
    """The first FIN of one end; no segment: it closed, or did not, without one that is known."""

    segment: Segment | None = None
    waited: bool = False
    """Whether it left, or will leave, later than the end closed."""
    unacknowledged: int | None = None
    """Behind so many bytes; None: not known."""


def fin_of(
    sender: Life, receiver: Life, connection: Connection, history: History, closed: Event | None, losses: Losses
) -> Fin:
    """By the wire where it was recorded, else by the states of both ends. `closed`: as for `wire_of`."""
    own, far = sender.into(SENT_FIN), receiver.into(GOT_FIN)
    if far is not None and own is None:
        # The sender went through its closing states between two samples.
        own = next((one for one in sender.changes if one.state is _S.CLOSED and one.was not in SENT_FIN), None)
    known = own or far
    if known is None:
        return Fin()
    sent = (connection.fins or {}).get(sender.side)
    if sent is not None and sent <= losses.until:
        segment = Segment(Flags.FIN, sender.side, sent, sent)
        waited = own is not None and went_later(segment, own)
        return Fin(segment, waited, (unacknowledged(sender, history) or None) if waited else None)
    came = far or sender.into({_S.FIN_WAIT2})
    if connection.fins is not None and own is not None and came is None and not losses.cut(own.after, own.before):
        return Fin(None, True, unacknowledged(sender, history) or None)  # only what is before it can have kept it back
    if own is not None and (came is None or came.before > own.before + UNDER_WAY):
        waiting = unacknowledged(sender, history)
        if waiting and came is None:
            return Fin(None, True, waiting)
        if waiting and came is not None:
            after = came.after if history.exact else own.after
            return Fin(Segment(Flags.FIN, sender.side, after, came.before), True, waiting)
    return Fin(_by_states(sender, own, far, closed))


def went_later(fin: Segment, change: Change) -> bool:
    """Whether a FIN left later than its end changed to a state that it has when it closed."""
    return fin.after > change.before + _AT_ONCE


def _by_states(sender: Life, own: Change | None, far: Change | None, closed: Event | None) -> Segment:
    known = own or far
    assert known is not None
    after, before = known.after, known.before
    if own is not None and far is not None:
        # Two nodes are sampled one after the other, so the receiver may seem to be first.
        after, before = (after, min(before, far.before)) if far.before > after else (far.after, before)
    reported = float(closed["t"]) if closed else -math.inf
    if after <= reported <= before:
        if sender.side is Side.SERVER:
            after = reported
        elif closed and closed["reason"] == "peer":  # it has read this FIN
            before = reported
    return Segment(Flags.FIN, sender.side, after, before)
