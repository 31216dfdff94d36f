"""Ladders for tests: drawn from hand-made histories, and what a row comes to in one line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.analysis.exchanges import reports_of_each
from orchestrator.analysis.ladder.build import ladder
from orchestrator.analysis.ladder.model import Ladder, Row, RowKind
from orchestrator.history.model import History, Side
from orchestrator.history.ownresets import by_pairs, own_resets
from orchestrator.recording.events import Event
from orchestrator.report.text.ladder import draw
from orchestrator.report.words.ladder import said
from orchestrator.tcp.states import TcpState
from tests.support.builders import HOSTS, history

CLIENT, SERVER = f"{HOSTS['client']}:41000", f"{HOSTS['server']}:8080"
ENDS = {"client": {"local": CLIENT, "peer": SERVER}, "server": {"local": SERVER, "peer": CLIENT}}

LISTENS = "server:8080 | L L L L L L"

TICKS = "ticks 0 0.99 1 1.001 1.99 2 2.99 3 3.001 3.99 4 8 9"
"""Changes inside of a millisecond are as good as traced."""


def ladder_of(history: History, number: int = 1) -> Ladder:
    """The ladder of the history's connection c<number>."""
    said = reports_of_each(history)[number - 1]
    return ladder(f"c{number}", history.connections[number - 1], history, said)


def told(found: Ladder, *kinds: RowKind) -> list[str]:
    """Each row (of these kinds) as `client FIN > CLIENT_STATE SERVER_STATE`, with states only where they changed."""
    return [_told(row) for row in found.rows if not kinds or row.kind in kinds]


def _told(row: Row) -> str:
    arrow = f"{row.sender} > " if row.sender else ""
    return f"{arrow}{said(row)} | {_state(row, Side.CLIENT)} {_state(row, Side.SERVER)}"


def _state(row: Row, side: Side) -> str:
    end = row.end(side)
    if not end.changed:
        return "."
    queue = f"/{end.queue[1]}" if end.queue else ""
    return f"{end.state or TcpState.CLOSED}{queue}"


def segments(found: Ladder) -> list[str]:
    return told(found, RowKind.SEGMENT, RowKind.CROSSING)


def picture(found: Ladder, width: int = 80, *, ascii_only: bool = False) -> str:
    return "\n".join(line.plain for line in draw(found, width, ascii_only=ascii_only))


# -- as from a trace -------------------------------------------------------------------------------------------------


def traced(table: str, *more: Event, rst: tuple[Event, ...] = (), **again: tuple[float, ...]) -> History:
    """A history as from a trace; `again`: node -> when it sent something again, in the state that it is in then."""
    found = history(table, *more)
    retransmits = {
        node: tuple({"t": t, "state": state_at(found, node, t), **ENDS[node]} for t in times)
        for node, times in again.items()
    }
    return with_resets(replace(found, exact=True, retransmits=retransmits), *rst)


def with_resets(found: History, *resets: Event) -> History:
    """The history with RSTs as a trace shows them."""
    own = own_resets(found.connections, by_pairs(resets), [None] * len(found.connections))
    connections = tuple(replace(one, resets=its) for one, its in zip(found.connections, own, strict=True))
    return replace(found, resets=resets, connections=connections)


def state_at(found: History, node: str, t: float) -> str:
    (socket,) = [socket for socket in found.sockets if socket.node == node and socket.peer != "0.0.0.0:0"]
    return next(interval.state.value for interval in reversed(socket.intervals) if interval.first <= t)


def off(begun: float, over: float, node: str = "server", **detail: str) -> tuple[Event, Event]:
    """A node is cut off, and comes back."""
    down: Event = {"ev": "node", "t": begun, "node": node, "what": "link down", "detail": detail}
    return down, {**down, "t": over, "what": "link up"}


def lost(found: Ladder) -> list[str]:
    return [f"{row.sender} > {said(row)}" for row in found.rows if row.lost]


def sent(found: Ladder) -> list[str]:
    return told(
        found,
        RowKind.SEGMENT,
        RowKind.RETRANSMIT,
        RowKind.CROSSING,
        RowKind.REQUEST,
        RowKind.UNSERVED,
        RowKind.RESPONSE,
    )


def by_server(ev: str, t: float, **fields: Any) -> Event:
    return {"ev": ev, "t": t, "node": "server", "local": SERVER, "peer": CLIENT, **fields}


def served(t: float, nth: int = 1) -> Event:
    return by_server("served", t, method="GET", path="/", status=200, nth=nth)


def rows_of(found: list[Row], kind: RowKind) -> list[Row]:
    return [row for row in found if row.kind is kind]
