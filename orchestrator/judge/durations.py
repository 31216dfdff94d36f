"""Facts about each of several things: how long every finished stay lasted, how much every connection carried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orchestrator.history.index import Filter, Index
from orchestrator.history.lifetimes import lasted
from orchestrator.history.model import Socket, StateInterval
from orchestrator.judge.evidence import capped, ends
from orchestrator.judge.tally import Inside
from orchestrator.recording.events import Event
from orchestrator.recording.verdict import FactVerdict, Outcome
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import at, format_duration
from orchestrator.text.numbers import number, plural


class Finished(NamedTuple):
    """A stay that ended, between `least` and `most` seconds long. `sure`: it ended in the window, and counts."""

    least: float
    most: float
    sure: bool
    line: str


def lasts(
    index: Index, node: str, state: TcpState, expected: DurationRange, inside: Inside, where: Filter
) -> FactVerdict:
    """Every stay in the state that ended in the window, on a node or on all nodes of a service.

    A stay that no tick showed may hide in a gap. It is as long as the gap at most, which matters when that would be
    too short.
    """
    found: list[Finished] = []
    hidden: list[str] = []
    for name in index.resolve(node):
        for socket, interval in index.intervals(name, state):
            if (matches := where.socket(socket)) is not False:
                found += _finished(index, socket, interval, inside, sure=matches)
        hidden += _hidden(index, name, state, expected, inside, where)
    judged = [(_truth(interval, expected), interval) for interval in found]
    lines = [interval.line for truth, interval in sorted(judged, key=lambda item: item[0], reverse=True)]
    fact = f"lasts {state}"
    if not any(interval.sure for interval in found):
        reason = f"no stay in {state} on {node} is known to have ended in the window: the fact matched nothing"
        return FactVerdict(node, fact, str(expected), "none", Outcome.UNKNOWN, reason, evidence=capped(hidden + lines))
    truth = max([truth for truth, _ in judged] + [1 if hidden else 0])
    outcome = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)[truth]
    reasons = {
        Outcome.PASS: "",
        Outcome.UNKNOWN: f"some stays in {state} on {node} may have lasted less or more: the samples do not tell",
        Outcome.FAIL: f"{plural(sum(t == 2 for t, _ in judged), 'stay')} in {state} on {node} did not last {expected}",
    }
    actual = _span_text(min(interval.least for interval in found), max(interval.most for interval in found))
    margin = _margin(found, expected) if outcome is Outcome.PASS else ""
    evidence = capped(lines + hidden if truth == 2 else hidden + lines)
    return FactVerdict(node, fact, str(expected), actual, outcome, reasons[outcome], "", margin, evidence)


def _finished(
    index: Index, socket: Socket, interval: StateInterval, inside: Inside, *, sure: bool | None
) -> Iterator[Finished]:
    bounds = lasted(socket, interval)
    after = next((gap for gap in socket.unknown if gap.after == interval.last), None)
    if bounds is None or after is None or not inside.perhaps(after.after, after.before):
        return
    least, most = bounds
    line = f"{ends(index, socket)} {interval.state} for {_span_text(least, most)} until {at(interval.last)}"
    yield Finished(least, most, bool(sure) and inside.surely(after.after, after.before), line)


def _hidden(
    index: Index, node: str, state: TcpState, expected: DurationRange, inside: Inside, where: Filter
) -> Iterator[str]:
    """Stays of the state that may lie wholly inside a gap and would be out of range there."""
    for possible, gaps in index.unknown(node).items():
        if state not in possible:
            continue
        for socket, gap in gaps:
            shown = any(
                interval.state is state and (interval.last == gap.after or interval.first == gap.before)
                for interval in socket.intervals
            )
            if shown or where.socket(socket) is False or not inside.perhaps(gap.after, gap.before):
                continue
            if expected.low > 0 or gap.before - gap.after > expected.high:
                yield f"{ends(index, socket)} perhaps in {state} between {at(gap.after)} and {at(gap.before)}"
    for _, after, before in index.hidden(node, frozenset({state})):
        if (expected.low > 0 or before - after > expected.high) and inside.perhaps(after, before):
            yield f"{node}: an unseen socket perhaps in {state} between {at(after)} and {at(before)}"


def _truth(interval: Finished, expected: DurationRange) -> int:
    """0, 1, 2: pass, unknown, fail. A stay that perhaps counts cannot fail the fact for sure."""
    if expected.low <= interval.least and interval.most <= expected.high:
        return 0
    outside = interval.most < expected.low or interval.least > expected.high
    return 2 if outside and interval.sure else 1


def _margin(found: Sequence[Finished], expected: DurationRange) -> str:
    room = min(min(interval.least - expected.low, expected.high - interval.most) for interval in found)
    if expected.low == 0:
        room = min(expected.high - interval.most for interval in found)
    return "" if room == math.inf else format_duration(round(room, 3))


def _span_text(least: float, most: float) -> str:
    low = format_duration(round(least, 3))
    return f"{low}.." if most == math.inf else f"{low}..{format_duration(round(most, 3))}"


def requests_per_connection(index: Index, node: str, expected: Range, inside: Inside, where: Filter) -> FactVerdict:
    """How many requests of the window each connection of a client carried, failed ones included."""
    fact = "requests_per_connection"
    nodes = index.resolve(node)
    silent = [name for name in nodes if name not in index.history.asking]
    observed = index.observed(nodes)
    problem = ""
    if silent:
        problem = f"{' and '.join(silent)} does not report its requests"
    elif where.by_owner:
        problem = f"what the program of {node} reports cannot be filtered by `owner`"
    elif observed is None or inside.start < observed[0] or inside.end > observed[1]:
        problem = f"the window {at(inside.start)} .. {at(inside.end)} reaches beyond the recording"
    if problem:
        return FactVerdict(node, fact, str(expected), "unknown", Outcome.UNKNOWN, problem)
    carried = [
        (sum(inside.at(event["t"]) for event in events), events[0])
        for events in _by_connection(event for event in index.history.requests if event["node"] in nodes)
        if where.match(events[0]["local"], events[0].get("peer"), None)
    ]
    counts = [(count, first) for count, first in carried if count]
    if not counts:
        reason = f"no request of {node} in the window names its connection: the fact matched nothing"
        return FactVerdict(node, fact, str(expected), "none", Outcome.UNKNOWN, reason)
    counts.sort(key=lambda item: item[0] in expected)
    wrong = sum(count not in expected for count, _ in counts)
    values = [count for count, _ in counts]
    lines = [f"{event['node']} {event['local']}: {plural(count, 'request')}" for count, event in counts]
    return FactVerdict(
        node=node,
        fact=fact,
        expected=str(expected),
        actual=number(min(values), max(values)),
        outcome=Outcome.FAIL if wrong else Outcome.PASS,
        reason=f"{plural(wrong, 'connection')} of {node} carried another number of requests" if wrong else "",
        margin="" if wrong else _count_margin(values, expected),
        evidence=capped(lines),
    )


def _count_margin(values: Sequence[int], expected: Range) -> str:
    below = min(values) - expected.low + 1 if expected.low > 0 else math.inf
    room = min(below, expected.high - max(values) + 1)
    return "" if room == math.inf else plural(f"{room:.0f}", "request")


def _by_connection(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Requests of one local port, cut where it was used for a new connection: the first request on it says so."""
    current: dict[tuple[str, str, str | None], list[Event]] = {}
    for event in sorted(events, key=lambda event: float(event.get("t0") or event["t"])):
        if not event.get("local"):
            continue
        key = (event["node"], event["local"], event.get("peer"))
        if key in current and (event.get("nth") == 1 or event.get("reused") is False):
            yield current.pop(key)
        current.setdefault(key, []).append(event)
    yield from current.values()
