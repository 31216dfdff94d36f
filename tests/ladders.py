"""Ladders for tests: drawn from hand-made histories, and what a row comes to in one line."""

from __future__ import annotations

from orchestrator.recording.history import History
from orchestrator.report.exchanges import said_of_each
from orchestrator.report.ladder import Kind, Ladder, Row, Side
from orchestrator.report.ladderdraw import draw
from orchestrator.report.ladderrows import ladder
from orchestrator.scenario.facts import TcpState


def ladder_of(history: History, number: int = 1) -> Ladder:
    """The ladder of the history's connection c<number>."""
    said = said_of_each(history)[number - 1]
    return ladder(f"c{number}", history.connections[number - 1], history, said)


def told(found: Ladder, *kinds: Kind) -> list[str]:
    """Each row (of these kinds) as `client FIN > CLIENT_STATE SERVER_STATE`, with states only where they changed."""
    return [_told(row) for row in found.rows if not kinds or row.kind in kinds]


def _told(row: Row) -> str:
    arrow = f"{row.sender} > " if row.sender else ""
    return f"{arrow}{row.text} | {_state(row, Side.CLIENT)} {_state(row, Side.SERVER)}"


def _state(row: Row, side: Side) -> str:
    end = row.end(side)
    if not end.changed:
        return "."
    queue = f"/{end.queue[1]}" if end.queue else ""
    return f"{end.state or TcpState.CLOSED}{queue}"


def segments(found: Ladder) -> list[str]:
    return told(found, Kind.SEGMENT, Kind.CROSSING)


def picture(found: Ladder, width: int = 80, *, ascii_only: bool = False) -> str:
    return "\n".join(line.plain for line in draw(found, width, ascii_only=ascii_only))
