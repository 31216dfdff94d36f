"""How long every state interval that ended in the window lasted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orchestrator.history.index import Index
from orchestrator.history.lifetimes import lasted
from orchestrator.history.model import Socket, StateInterval
from orchestrator.judge.evidence import capped, peer_node
from orchestrator.judge.facts.evaluation import OverWindow
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside
from orchestrator.recording.causes import DurationUnknown, MatchedNothing, Reason, SomeOutOfRange
from orchestrator.recording.evidence import Evidence, SocketsUnobserved, StateLasted, StatePossible
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome
from orchestrator.scenario.values import DurationRange, Range


class _Finished(NamedTuple):
    """A state interval that ended. `sure`: it ended in the window, and counts."""

    least: float
    most: float
    sure: bool
    item: StateLasted


def lasts(index: Index, question: Question, inside: Inside, where: Filter) -> FactVerdict:
    """On a node or on all nodes of a service.

    A stay in the state that no tick showed may hide in a gap. It is as long as the gap at most, which matters when
    that would be too short.
    """
    state, expected = question.state, question.expected
    found: list[_Finished] = []
    hidden: list[Evidence] = []
    for name in index.resolve(question.node):
        for socket, interval in index.intervals(name, state):
            if (matches := where.socket(socket)) is not False:
                found += _finished(index, socket, interval, inside, sure=matches)
        hidden += _hidden(index, name, question, inside, where)
    judged = [(_truth(interval, expected), interval) for interval in found]
    items = [interval.item for _, interval in sorted(judged, key=lambda item: item[0], reverse=True)]
    if not any(interval.sure for interval in found):
        nothing = MatchedNothing(of="state_interval")
        return question.verdict(Outcome.UNKNOWN, reasons=(nothing,), evidence=capped([*hidden, *items]))
    truth = max([truth for truth, _ in judged] + [1 if hidden else 0])
    outcome = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)[truth]
    reasons: dict[Outcome, tuple[Reason, ...]] = {
        Outcome.PASS: (),
        Outcome.UNKNOWN: (DurationUnknown(),),
        Outcome.FAIL: (SomeOutOfRange(of="state_interval", count=sum(truth == 2 for truth, _ in judged)),),
    }
    low, high = min(interval.least for interval in found), max(interval.most for interval in found)
    return question.verdict(
        outcome,
        actual=Bounds.of(low, high, question.unit),
        reasons=reasons[outcome],
        margin=_margin(found, expected, question.unit) if outcome is Outcome.PASS else None,
        evidence=capped([*items, *hidden] if truth == 2 else [*hidden, *items]),
    )


def _finished(
    index: Index, socket: Socket, interval: StateInterval, inside: Inside, *, sure: bool | None
) -> Iterator[_Finished]:
    bounds = lasted(socket, interval)
    after = next((gap for gap in socket.unknown if gap.after == interval.last), None)
    if bounds is None or after is None or not inside.perhaps(after.after, after.before):
        return
    least, most = bounds
    item = StateLasted(
        node=socket.node,
        sk=socket.sk,
        local=socket.local,
        peer=socket.peer,
        peer_node=peer_node(index, socket),
        state=interval.state,
        least=least,
        most=None if math.isinf(most) else most,
        until=interval.last,
    )
    yield _Finished(least, most, bool(sure) and inside.surely(after.after, after.before), item)


def _hidden(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Iterator[Evidence]:
    """The state where it may lie wholly inside a gap and would be out of range there."""
    state, expected = question.state, question.expected
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
                yield StatePossible(
                    node=socket.node,
                    sk=socket.sk,
                    local=socket.local,
                    peer=socket.peer,
                    peer_node=peer_node(index, socket),
                    state=state,
                    after=gap.after,
                    before=gap.before,
                )
    for entry, after, before in index.hidden(node, frozenset({state})):
        if (expected.low > 0 or before - after > expected.high) and inside.perhaps(after, before):
            yield SocketsUnobserved(node=node, count=entry.count, after=after, before=before, state=state)


def _truth(interval: _Finished, expected: Range | DurationRange) -> int:
    """0, 1, 2: pass, unknown, fail. A stay that perhaps counts cannot fail the fact for sure."""
    if expected.low <= interval.least and interval.most <= expected.high:
        return 0
    outside = interval.most < expected.low or interval.least > expected.high
    return 2 if outside and interval.sure else 1


def _margin(found: Sequence[_Finished], expected: Range | DurationRange, unit: str) -> Margin | None:
    room = min(expected.high - interval.most for interval in found)
    if expected.low > 0:
        room = min(room, min(interval.least - expected.low for interval in found))
    return None if math.isinf(room) else Margin(room, unit)


EVALUATIONS = {"lasts": OverWindow(lasts)}
