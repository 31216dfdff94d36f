"""The sentence above a ladder: who closed first, how, and why when the server said so; where TIME_WAIT landed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.recording.history import Connection
from orchestrator.report.ladder import Kind, Side
from orchestrator.report.ladderitems import Items
from orchestrator.report.ladderorder import Item
from orchestrator.report.ladderrequests import Said
from orchestrator.report.ladderwire import Life
from orchestrator.report.ladderwords import duration
from orchestrator.scenario.facts import TcpState

_S = TcpState

_IDLE = 0.3
"""Seconds after which a closing is called one after idleness."""


def headline(connection: Connection, found: Items, said: Said) -> str:
    """`server closed first: FIN after 5.0 s idle (closed by server: idle); TIME_WAIT on server`."""
    parts = [_closing(connection, found, said), *_errors(said), *_left(found)]
    return "; ".join(part for part in parts if part)


def _closing(connection: Connection, found: Items, said: Said) -> str:
    wire = found.wire
    if not (wire.client.up or wire.server.up):
        reset = next((reset for reset in wire.resets if reset.sender is Side.SERVER), None)
        return "never established: " + ("the server's node answered with a RST" if reset else "no answer was seen")
    if wire.crossing:
        return "both ends closed at the same time: their FINs crossed"
    first = next((item for item in found.items if item.text in ("FIN", "RST") and item.kind is Kind.SEGMENT), None)
    closed = connection.closed is not None and connection.closed[1] <= found.until
    ends = [life for life in (wire.client, wire.server) if life.socket]
    if first is None and not closed:
        if all(life.states <= {_S.SYN_SENT, _S.SYN_RECV, _S.ESTABLISHED} for life in ends):
            return "open at the end of the recording: nobody closed"
        return "it was closed before the recording began" if any(life.initial for life in ends) else "it was closed"
    closer = connection.first_closer if closed else None
    if first is None or (closer is None and first.text == "FIN"):
        return f"{closer} closed first" if closer else "the recording does not show who closed first"
    assert first.sender is not None
    name = wire.life(first.sender).node or str(first.sender)
    if closer not in (None, name):
        return f"{closer} closed first"
    verb = "closed first" if first.text == "FIN" else "reset the connection"
    return f"{name} {verb}: {_how(first, found, said)}"


def _how(first: Item, found: Items, said: Said) -> str:
    how = first.text
    before = [item.before for item in found.items if item.exchange is not None and item.before <= first.before]
    quiet = (first.after - max(before), first.before - max(before)) if before else (0.0, 0.0)
    answered = all(item.kind is not Kind.ERROR for item in found.items if item.before <= first.before)
    if quiet[0] >= _IDLE and answered:
        how += f" after {duration(*quiet)} idle"
    if said.closed is not None and first.sender is Side.SERVER:
        how += f" (closed by {found.wire.server.node}: {said.closed['reason']})"
    return how


def _errors(said: Said) -> Iterator[str]:
    names = [exchange.error for exchange in said.exchanges if exchange.error]
    if len(names) == 1:
        yield f"a request failed with {names[0]}"
    elif names:
        yield f"{len(names)} requests failed with {', '.join(sorted(set(names)))}"


def _left(found: Items) -> Iterator[str]:
    """Where TIME_WAIT landed, and which end is still waiting for something."""
    ends = [life for life in (found.wire.client, found.wire.server) if life.socket]
    landed = [str(life.node) for life in ends if _S.TIME_WAIT in life.states]
    stuck = [(life, state) for life in ends if (state := _half_closed(life))]
    if landed:
        yield f"TIME_WAIT landed on {' and '.join(landed)}"
    if stuck:
        yield " and ".join(f"{life.node} is left in {state}" for life, state in stuck)
    if not landed and not stuck and found.wire.fins:
        yield "no TIME_WAIT was seen"


def _half_closed(life: Life) -> TcpState | None:
    """The half-closed state in which an end stands when the recording ends."""
    state = life.changes[-1].state if life.changes else life.initial
    return state if state in (_S.FIN_WAIT1, _S.FIN_WAIT2, _S.CLOSE_WAIT, _S.LAST_ACK, _S.CLOSING) else None
