"""A run as one JSON document, for programs. docs/report-json.md describes every key; keys are only ever added.

Times are seconds since the start of the run. What is not known is null; no number is infinite.
"""

from __future__ import annotations

import json
import math
from typing import Any

from orchestrator.analysis.exchanges import Reports, reports_of_each
from orchestrator.analysis.report import EXIT_CODES, RunReport
from orchestrator.analysis.requests import requests_by_node
from orchestrator.analysis.states import Count, count_states, moments_by_instant, recv_q
from orchestrator.history.index import Index
from orchestrator.history.lifetimes import lasted
from orchestrator.history.model import Connection, History, Socket, StateInterval, Unobserved
from orchestrator.judge.evidence import shown_by
from orchestrator.recording.verdict import Outcome
from orchestrator.report.words import sentences
from orchestrator.tcp.states import TcpState

SCHEMA = 1
"""Raised when a key changes its meaning or goes away."""

Json = dict[str, Any]

_MEANINGS = {
    Outcome.PASS: "every expectation holds",
    Outcome.FAIL: "an expectation failed",
    Outcome.UNKNOWN: "no expectation failed, but at least one could not be decided",
}


def render(report: RunReport) -> str:
    """The document, ASCII only, without a newline at its end; each connection on a line of its own."""
    members = (f"{json.dumps(key)}: {_value(value)}" for key, value in _clean(_document(report)).items())
    return "{\n  " + ",\n  ".join(members) + "\n}"


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n    " + ",\n    ".join(json.dumps(item, allow_nan=False) for item in value) + "\n  ]"
    return json.dumps(value, allow_nan=False)


def _document(report: RunReport) -> Json:
    history = report.history
    return {
        "schema": SCHEMA,
        "scenario": report.scenario,
        "matrix": dict(report.cell),
        "title": report.title,
        "runtime": report.runtime,
        "clock": report.clock,
        "folder": None if report.folder is None else str(report.folder),
        "outcome": report.outcome.value,
        "exit_code": {"code": int(EXIT_CODES[report.outcome]), "meaning": _MEANINGS[report.outcome]},
        "duration": report.duration,
        "wall": report.wall,
        "trouble": report.trouble,
        "expectations": {
            "total": len(report.verdicts),
            **{outcome.value: report.count(outcome) for outcome in Outcome},
        },
        "verdicts": [verdict.to_json() for verdict in report.verdicts],
        "story": sentences(history),
        "connections": list(map(_connection, history.connections, reports_of_each(history))),
        "unseen": [_unseen(entry) for entry in history.unobserved],
        "moments": _moments(history),
        "requests": {
            node: {"count": got.count, "answered": dict(got.answered), "errors": dict(got.errors)}
            for node, got in requests_by_node(history).items()
        },
        "counters": {
            node: {name: readings[-1][1] for name, readings in counters.items() if readings}
            for node, counters in history.counters.items()
        },
        "notes": report.all_notes,
    }


def _connection(connection: Connection, reports: Reports) -> Json:
    return {
        "opened": list(connection.opened),
        "closed": None if connection.closed is None else list(connection.closed),
        "first_closer": connection.closing.first_closer,
        "how": shown_by(connection.closing),
        "client_node": connection.client_node,
        "server_node": connection.server_node,
        "via": [flow.node for flow in connection.via],
        "requests": len(reports.exchanges),
        "close_reason": None if reports.closed is None or connection.closed is None else reports.closed["reason"],
        "client": _end(connection.client),
        "server": _end(connection.server),
    }


def _end(socket: Socket | None) -> Json | None:
    if socket is None:
        return None
    return {
        "node": socket.node,
        "socket": socket.sk,
        "local": socket.local,
        "peer": socket.peer,
        "uid": socket.uid,
        "pid": socket.pid,
        "program": socket.comm,
        "ended_by": None if socket.ended_by is None else socket.ended_by.value,
        "stays": [_stay(socket, interval) for interval in socket.intervals],
        "gaps": [
            {"after": gap.after, "before": gap.before, "states": sorted(state.value for state in gap.states)}
            for gap in socket.unknown
        ],
    }


def _stay(socket: Socket, interval: StateInterval) -> Json:
    bounds = lasted(socket, interval)
    seconds = None if bounds is None else {"min": bounds[0], "max": bounds[1]}
    return {"state": interval.state.value, "first": interval.first, "last": interval.last, "seconds": seconds}


def _unseen(entry: Unobserved) -> Json:
    return {
        "node": entry.node,
        "after": entry.after,
        "before": entry.before,
        "count": entry.count,
        "established": {"min": entry.least, "max": entry.most},
        "states": sorted(state.value for state in entry.states),
    }


def _moments(history: History) -> list[Json]:
    index = Index(history)
    return [
        {"name": name, "t": t, "nodes": {node: _node(index, node, t) for node in history.nodes}}
        for t, names in moments_by_instant(history)
        for name in names
    ]


def _node(index: Index, node: str, t: float) -> Json:
    queue = recv_q(index, node, TcpState.CLOSE_WAIT, t)
    return {
        "sampled": t not in index.history.missed.get(node, ()),
        "states": {state.value: _range(count) for state, count in count_states(index, node, t).items()},
        "close_wait_recv_q": None if queue is None else _range(queue),
    }


def _range(count: Count) -> Json:
    return {"min": count.low, "max": count.high}


def _clean(value: Any) -> Any:
    """JSON has no infinity, and UTF-8 no lone surrogates, which a strict reader refuses even as escapes."""
    if isinstance(value, dict):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
