"""Why a change of state that no segment explains came about: a timer, a program, or nothing is known."""

from __future__ import annotations

import math

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import Change
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.notes import (
    Arrives,
    CutShort,
    FinWaits,
    GaveUp,
    Gone,
    LastAckOver,
    Note,
    Outcome,
    StateOver,
)
from orchestrator.analysis.ladder.packetnotes import FinGivenUp, ToldByIcmp
from orchestrator.analysis.ladder.wire import Wire
from orchestrator.tcp.states import TcpState

_S = TcpState

_TIME_WAIT = 59.9
"""A TIME_WAIT that was shorter than this, in seconds, was cut short."""


def outcome_of(exchange: Exchange) -> Outcome:
    """What the client's program got; only the status when just the server reports it."""
    told = exchange.reported or exchange.error
    return Outcome(exchange.status, exchange.error, exchange.done - exchange.began if told else None)


def is_arrival(change: Change) -> bool:
    """Whether the change shows that the peer's FIN came."""
    return change.state in (_S.CLOSE_WAIT, _S.CLOSING, _S.TIME_WAIT)


def explain(change: Change, wire: Wire, *, gave_up: bool) -> Note | None:
    """Why a state changed though nothing is known to have been sent at that time."""
    socket = wire.life(change.side).socket
    least, most = change.lasted
    match change.was, change.state:
        case (_S.TIME_WAIT, _S.CLOSED) if most < _TIME_WAIT:
            return CutShort(least, most, socket.ended_by if socket else None)
        case ((_S.TIME_WAIT | _S.FIN_WAIT2), _S.CLOSED):
            return StateOver(change.was, None, None) if math.isinf(most) else StateOver(change.was, least, most)
        case _, _S.CLOSED if (step := wire.taken.told_by(change.side, change.before)) is not None:
            return ToldByIcmp(step)
        case ((_S.FIN_WAIT1 | _S.LAST_ACK), _S.CLOSED) if wire.every_fin_lost(change.side):
            return FinGivenUp()
        case was, _S.CLOSED if gave_up:
            return GaveUp(calling=was is _S.SYN_SENT)
        case _S.LAST_ACK, _S.CLOSED:
            return LastAckOver()
        case _, _S.CLOSED:
            return Gone()
        case _, (_S.FIN_WAIT1 | _S.LAST_ACK) if change.side in wire.waiting:
            return FinWaits(wire.life(change.side).party, wire.waiting[change.side])
        case _ if is_arrival(change):
            return Arrives(Flags.FIN, wire.life(change.side.other).party)
        case _, _S.FIN_WAIT2:
            return Arrives(Flags.ACK, wire.life(change.side.other).party)
    return None
