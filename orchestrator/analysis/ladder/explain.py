"""Words for a change of state that no segment explains: a timer, a program, or nothing is known."""

from __future__ import annotations

import math

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import Change
from orchestrator.analysis.ladder.traffic import Stretch
from orchestrator.analysis.ladder.wire import Wire
from orchestrator.history.model import MinisocketEnd, Side
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import duration
from orchestrator.text.numbers import short_count

_S = TcpState

_TIME_WAIT = 59.9
"""A TIME_WAIT that was shorter than this, in seconds, was cut short."""

_CUT_BY = {MinisocketEnd.REUSED: " by a new connection", MinisocketEnd.RESET: " by a RST"}


def own_account(node: str | None, reason: str) -> str:
    """What the program of a server says of its closing: `closed by server: idle`."""
    # By itself the reason `peer` would read as if the peer had closed it, or the server first.
    return f"{node} closed after its peer had" if reason == "peer" else f"closed by {node}: {reason}"


def answer_text(exchange: Exchange) -> str:
    """`200 after 3.2 ms`, `RemoteDisconnected after 1.1 ms`; only the status when just the server reports it."""
    after = f"after {duration(exchange.done - exchange.began)}"
    if exchange.error:
        return f"{exchange.status}, then {exchange.error} {after}" if exchange.status else f"{exchange.error} {after}"
    return f"{exchange.status} {after}" if exchange.reported else exchange.status


def traffic_text(one: Stretch) -> str:
    """`data, 1.9k bytes to the server, 3k back: no program reports it`."""
    return f"data, {short_count(one.sent)} bytes to the server, {short_count(one.received)} back: nobody reports it"


def is_arrival(change: Change) -> bool:
    """Whether the change shows that the peer's FIN came."""
    return change.state in (_S.CLOSE_WAIT, _S.CLOSING, _S.TIME_WAIT)


def explain(change: Change, wire: Wire, *, gave_up: bool) -> str:
    """Why a state changed though nothing is known to have been sent at that time."""
    names = {side: wire.life(side).node or side for side in Side}
    socket = wire.life(change.side).socket
    ended_by = socket.ended_by if socket else None
    least, most = change.lasted
    match change.was, change.state:
        case (_S.TIME_WAIT, _S.CLOSED) if most < _TIME_WAIT:
            return f"TIME_WAIT cut short after {duration(least, most)}{_CUT_BY.get(ended_by, '') if ended_by else ''}"
        case ((_S.TIME_WAIT | _S.FIN_WAIT2), _S.CLOSED):
            return f"{change.was} is over" + ("" if math.isinf(most) else f" after {duration(least, most)}")
        case _S.SYN_SENT, _S.CLOSED if gave_up:
            return "gives up: no answer came"
        case _, _S.CLOSED if gave_up:
            return "gives up: no answer came (ETIMEDOUT)"
        case _S.LAST_ACK, _S.CLOSED:
            return "LAST_ACK is over, by an ACK or a RST"
        case _, _S.CLOSED:
            return "gone, the recording does not show how"
        case _, (_S.FIN_WAIT1 | _S.LAST_ACK) if change.side in wire.waiting:
            return f"{names[change.side]} closes: its FIN waits behind {wire.waiting[change.side]} unacknowledged bytes"
        case _ if is_arrival(change):
            return f"the FIN of {names[change.side.other]} arrives"
        case _, _S.FIN_WAIT2:
            return f"the ACK of {names[change.side.other]} arrives"
    return ""
