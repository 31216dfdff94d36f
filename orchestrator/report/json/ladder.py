"""A ladder as one JSON document, so that others can draw it. docs/show.md describes its keys; keys are only added."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from orchestrator.analysis.exchanges import addresses
from orchestrator.analysis.ladder.list import ListedConnection
from orchestrator.analysis.ladder.model import End, Head, Ladder, Row
from orchestrator.analysis.ladder.notes import Note, Silence
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, owner, said
from orchestrator.report.words.summaries import ended
from orchestrator.text.jsondata import Json, plain

SCHEMA = 1
"""Raised when a key changes its meaning or goes away."""


def render(known: Sequence[ListedConnection], shown: Ladder | None) -> str:
    """The document, ASCII only, without a newline at its end; one connection or row on a line."""
    parts = [f'"schema": {SCHEMA}', f'"connections": {_list([_entry(entry) for entry in known])}']
    if shown is not None:
        parts += [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in _frame(shown).items()]
        parts.append(f'"rows": {_list([_row(row, shown) for row in shown.rows])}')
    return "{\n  " + ",\n  ".join(parts) + "\n}"


def _list(items: Sequence[Json]) -> str:
    if not items:
        return "[]"
    return "[\n    " + ",\n    ".join(json.dumps(item, allow_nan=False) for item in items) + "\n  ]"


def _entry(entry: ListedConnection) -> Json:
    client, server = addresses(entry.connection)
    return {
        "id": entry.name,
        "client": {"node": entry.connection.client_node, "address": client},
        "server": {"node": entry.connection.server_node, "address": server},
        "via": [flow.node for flow in entry.connection.via],
        "opened": _times(*entry.connection.opened),
        "requests": entry.reports.count,
        "failed": entry.failed,
        "first_closer": entry.closing.first_closer,
        "ended": ended(entry),
    }


def _frame(ladder: Ladder) -> Json:
    return {
        "connection": ladder.name,
        "headline": headline(ladder.headline),
        "closing": {"via": plain(ladder.headline.via), "parts": _values(ladder.headline.parts)},
        "client": _head(ladder.client),
        "server": _head(ladder.server),
        "footnotes": beneath(ladder.footnotes),
        "legend": _values(ladder.footnotes),
    }


def _head(head: Head) -> Json:
    return {"name": head.name, "address": head.address, "owner": owner(head), "seen": head.seen}


def _row(row: Row, ladder: Ladder) -> Json:
    return {
        "t": _times(row.after, row.before),
        "kind": row.kind.value,
        "from": row.sender.value if row.sender else None,
        "node": ladder.head(row.sender).name if row.sender else None,
        "text": said(row),
        "says": _values(row.says),
        "lost": row.lost,
        "unproven": row.unproven,
        "by": row.by,
        "client": _end(row.client),
        "server": _end(row.server),
        "notes": beneath(row.notes),
        "remarks": _values(row.notes),
        "lasted": next((_times(note.least, note.most) for note in row.says if isinstance(note, Silence)), None),
    }


def _values(notes: Sequence[Note]) -> list[Json]:
    """Each remark as its values, `is` being what it is: `{"is": "own_account", "node": "server", "reason": "idle"}`."""
    return [{"is": _name(type(note).__name__), **plain(note)} for note in notes]


def _name(kind: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).removeprefix("_")


def _end(end: End) -> Json:
    queue = {end.queue[0].lower().replace("-", "_"): end.queue[1]} if end.queue else {}
    return {"state": None if end.state is None else end.state.value, "changed": end.changed, **queue}


def _times(after: float, before: float) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in (after, before)]
