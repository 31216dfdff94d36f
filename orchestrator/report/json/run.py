"""A run as one JSON document, for programs. docs/report-json.md describes every key; keys are only ever added.

Times are seconds since the start of the run. What is not known is null; no number is infinite.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from orchestrator.analysis.exchanges import Reports, reports_of_each
from orchestrator.analysis.failures import failures
from orchestrator.analysis.report import EXIT_CODES, RunReport
from orchestrator.analysis.requests import raw_by_node, requests_by_node
from orchestrator.analysis.states import Count, count_states, moments_by_instant, recv_q
from orchestrator.history.durations import PERCENTILES, finished, percentile
from orchestrator.history.firstcall import first_to_close
from orchestrator.history.index import Index, orphaned_at
from orchestrator.history.lifetimes import lasted
from orchestrator.history.model import Connection, Contradiction, History, Socket, StateInterval, Unobserved
from orchestrator.recording.events import Event
from orchestrator.recording.verdict import Outcome
from orchestrator.report.json.document import (
    Between,
    ConnectionDocument,
    ContradictionDocument,
    ExitStatus,
    MomentDocument,
    NodeAtMoment,
    ReportDocument,
    SocketEnd,
    StateGap,
    Stay,
    UnobservedSockets,
)
from orchestrator.report.json.requests import LoadDocument, RequestCounts, RequestDurations
from orchestrator.report.json.verdicts import document as verdict_document
from orchestrator.report.words.evidence import shown_by
from orchestrator.report.words.notes import notes_of, trouble
from orchestrator.report.words.summaries import sentences
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsontext import JsonText

_FAILURES = 100
"""Failed requests of which a document has the cause."""

SCHEMA = 2
"""Raised when a key changes its meaning or goes away."""

DIGITS = 6
"""Microseconds."""

_MEANINGS = {
    Outcome.PASS: "every expectation holds",
    Outcome.FAIL: "an expectation failed",
    Outcome.UNKNOWN: "no expectation failed, but at least one could not be decided",
}


def pieces(report: RunReport) -> Iterator[str]:
    """The document bit by bit, ASCII only, without a newline at its end; each connection on a line of its own.

    A large run has a hundred megabytes of connections: no more than one of them is made at a time.
    """
    made = document(report)
    written = JsonText(DIGITS)
    for number, name in enumerate(field.name for field in fields(made)):
        yield f"{',' if number else '{'}\n  {json.dumps(name)}: "
        yield from _lines(_connections(report.history) if name == "connections" else getattr(made, name), written)
    yield "\n}"


def _lines(value: Any, written: JsonText) -> Iterator[str]:
    """A list, or what is made for one bit by bit, with each item on a line of its own; or another value."""
    if not isinstance(value, tuple | Iterator):
        yield written(value)
        return
    start = "[\n    "
    for item in value:
        yield start + written(item)
        start = ",\n    "
    yield "[]" if start[0] == "[" else "\n  ]"


def _connections(history: History) -> Iterator[ConnectionDocument]:
    for connection, reports in zip(history.connections, reports_of_each(history), strict=True):
        yield _connection(connection, reports, history)


def document(report: RunReport) -> ReportDocument:
    """The same as data, but for the connections, which are made one by one."""
    history = report.history
    return ReportDocument(
        schema=SCHEMA,
        scenario=report.scenario,
        matrix=report.cell,
        title=report.title,
        runtime=report.runtime,
        clock=report.clock,
        folder=None if report.folder is None else str(report.folder),
        outcome=report.outcome,
        exit_code=ExitStatus(int(EXIT_CODES[report.outcome]), _MEANINGS[report.outcome]),
        duration=report.duration,
        wall=report.wall,
        trouble=trouble(report),
        expectations={
            "total": len(report.verdicts),
            "pass": report.count(Outcome.PASS),
            "unknown": report.count(Outcome.UNKNOWN),
            "fail": report.count(Outcome.FAIL),
        },
        verdicts=tuple(map(verdict_document, report.verdicts)),
        story=tuple(sentences(history)),
        connections=(),
        unseen=tuple(map(_unseen, history.unobserved)),
        moments=tuple(_moments(history)),
        requests=_requests(history),
        raw=raw_by_node(history),
        failures=tuple(failures(history)[:_FAILURES]),
        loads=tuple(map(_load, history.loads)),
        counters={
            node: {name: readings[-1][1] for name, readings in counters.items() if readings}
            for node, counters in history.counters.items()
        },
        contradictions=tuple(map(_contradiction, history.contradictions)),
        notes=tuple(notes_of(report)),
    )


def _connection(connection: Connection, reports: Reports, history: History) -> ConnectionDocument:
    return ConnectionDocument(
        opened=connection.opened,
        closed=connection.closed,
        first_closer=connection.closing.first_closer,
        closing=connection.closing,
        first_close=first_to_close(connection, exact=history.exact),
        how=shown_by(connection.closing),
        client_node=connection.client_node,
        server_node=connection.server_node,
        via=tuple(flow.node for flow in connection.via),
        requests=reports.count,
        close_reason=None if reports.closed is None or connection.closed is None else str(reports.closed["reason"]),
        client=_end(connection.client),
        server=_end(connection.server),
    )


def _load(event: Event) -> LoadDocument:
    return LoadDocument(
        node=event["node"],
        step=str(event.get("step") or ""),
        rate=event["rate"],
        asked=event["asked"],
        sent=event["sent"],
        late=event["late"],
        lateness=event["lateness"],
        seconds=event.get("seconds"),
    )


def _contradiction(one: Contradiction) -> ContradictionDocument:
    held = tuple(sorted(one.held))
    return ContradictionDocument(one.node, one.sk, one.local, one.peer, one.t, one.witness, one.shown, held, one.until)


def _end(socket: Socket | None) -> SocketEnd | None:
    if socket is None:
        return None
    return SocketEnd(
        node=socket.node,
        socket=socket.sk,
        local=socket.local,
        peer=socket.peer,
        uid=socket.uid,
        pid=socket.pid,
        program=socket.comm,
        ended_by=socket.ended_by,
        stays=tuple([_stay(socket, interval) for interval in socket.intervals]),
        gaps=tuple([StateGap(after, before, _in_order(states)) for after, before, states in socket.unknown]),
    )


@cache
def _in_order(states: frozenset[TcpState]) -> tuple[TcpState, ...]:
    """Few sets stand in many gaps."""
    return tuple(sorted(states))


def _stay(socket: Socket, interval: StateInterval) -> Stay:
    bounds = lasted(socket, interval)
    return Stay(
        state=interval.state,
        first=interval.first,
        last=interval.last,
        seconds=None if bounds is None else Between(bounds[0], None if math.isinf(bounds[1]) else bounds[1]),
        orphaned=orphaned_at(socket, interval.last),
    )


def _unseen(entry: Unobserved) -> UnobservedSockets:
    return UnobservedSockets(
        node=entry.node,
        after=entry.after,
        before=entry.before,
        count=entry.count,
        established=Between(entry.least, entry.most),
        states=tuple(sorted(entry.states)),
    )


def _moments(history: History) -> list[MomentDocument]:
    index = Index(history)
    return [
        MomentDocument(name, t, {node: _node(index, node, t) for node in history.nodes})
        for t, names in moments_by_instant(history)
        for name in names
    ]


def _requests(history: History) -> dict[str, RequestCounts]:
    durations = _durations(history)
    return {
        node: RequestCounts(got.count, got.answered, got.errors, got.repeated, durations.get(node))
        for node, got in requests_by_node(history).items()
    }


def _durations(history: History) -> dict[str, RequestDurations]:
    """Client -> how long its requests took, of those that tell of each."""
    took: dict[str, list[float | None]] = defaultdict(list)
    for event, seconds in finished(history.requests):
        took[event["node"]].append(seconds)
    found = {}
    for node, of_node in took.items():
        known = sorted(seconds for seconds in of_node if seconds is not None)
        if len(known) == len(of_node):
            found[node] = RequestDurations(**{name: percentile(known, part) for name, part in PERCENTILES.items()})
    return found


def _node(index: Index, node: str, t: float) -> NodeAtMoment:
    queue = recv_q(index, node, TcpState.CLOSE_WAIT, t)
    return NodeAtMoment(
        sampled=t not in index.history.missed.get(node, ()),
        states={state: _range(count) for state, count in count_states(index, node, t).items()},
        close_wait_recv_q=None if queue is None else _range(queue),
        conntrack=next(
            (line["entries"] for line in index.history.conntrack if (line["node"], line["t"]) == (node, t)), None
        ),
    )


def _range(count: Count) -> Between:
    return Between(count.low, count.high)
