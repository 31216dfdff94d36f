"""Expectations beside a history: a verdict for each. Pure.

Every fact is three-valued. Where the samples bound a number from both sides, the fact passes when the whole of the
bounds lies in the expected range, fails when none of it does, and is unknown otherwise. So whatever really happened
between two samples, a pass is a pass and a fail is a fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.history.index import Filter, Index
from orchestrator.history.model import History
from orchestrator.judge.counters import NOUNS, count
from orchestrator.judge.durations import lasts, requests_per_connection
from orchestrator.judge.gauges import Gauge, other_states
from orchestrator.judge.moments import Landmarks, asked
from orchestrator.judge.points import PointFact, PointJudge
from orchestrator.judge.queues import Queue
from orchestrator.judge.tally import Inside
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.scenario.facts import FACTS, FactKind
from orchestrator.scenario.model import Expectation, NodeFacts
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.tcp.states import TcpState


def judge(expectations: Sequence[Expectation], history: History) -> list[Verdict]:
    """One verdict per expectation, in their order."""
    index = Index(history)
    landmarks = Landmarks(history.moments)
    return [_judge(expectation, index, landmarks) for expectation in expectations]


@dataclass(frozen=True, slots=True)
class _Question:
    """One fact of one node as asked: `recv_q: {CLOSE_WAIT: 1}` is one per state. `part` is the key inside, if any."""

    node: str
    fact: str
    part: str | None
    expected: Range | DurationRange
    named: frozenset[str]
    """The states that the node's facts name."""

    @property
    def label(self) -> str:
        return f"{self.fact} {self.part}" if self.part else self.fact

    @property
    def of_instants(self) -> bool:
        return FACTS[self.fact][0] in (FactKind.GAUGE, FactKind.QUEUE)


def _judge(expectation: Expectation, index: Index, landmarks: Landmarks) -> Verdict:
    when = asked(expectation, index.history)
    where = index.filter(expectation.where)
    questions = [question for node, facts in expectation.nodes.items() for question in _questions(node, facts)]
    text = when.text
    if not when.name and not any(question.of_instants for question in questions):
        text = "over start .. end"
    verdicts: dict[int, FactVerdict] = {}
    points: dict[int, PointFact] = {}
    for number, question in enumerate(questions):
        problem = when.problem or _problem(question, index)
        if problem or isinstance(where, str):
            verdicts[number] = _undecided(question, problem or str(where))
        elif question.of_instants:
            points[number] = _point(question, index, where)
        else:
            verdicts[number] = _counted(question, index, Inside(when.start, when.end), where)
    decided: float | None = None
    if points:
        judged, decided = PointJudge(index, landmarks, list(points.values()), when).judge(expectation.for_)
        verdicts |= dict(zip(points, judged, strict=True))
    facts = tuple(verdicts[number] for number in range(len(questions)))
    return Verdict(expectation.that, text, Outcome.worst([fact.outcome for fact in facts]), facts, decided)


def _questions(node: str, facts: NodeFacts) -> Iterator[_Question]:
    given = facts.named()
    states = {state for name in ("recv_q", "send_q") for state in given.get(name, ())}
    named = frozenset(states | {name for name in given if name in TcpState.__members__})
    for fact, value in given.items():
        parts = value.items() if isinstance(value, dict) else [(None, value)]
        for part, expected in parts:
            yield _Question(node, fact, part, expected, named)


def _problem(question: _Question, index: Index) -> str:
    if index.resolve(question.node):
        return ""
    return f"the recording has no node {question.node}; it has {', '.join(index.history.nodes)}"


def _undecided(question: _Question, reason: str) -> FactVerdict:
    return FactVerdict(question.node, question.label, str(question.expected), "unknown", Outcome.UNKNOWN, reason)


def _point(question: _Question, index: Index, where: Filter) -> PointFact:
    expected = question.expected
    assert isinstance(expected, Range)
    if question.part is not None:
        return Queue(index, question.node, question.fact, TcpState(question.part), expected, where)
    if question.fact == "others":
        return Gauge(index, question.node, "others", other_states(question.named), expected, where)
    return Gauge(index, question.node, question.fact, frozenset({TcpState(question.fact)}), expected, where)


def _counted(question: _Question, index: Index, inside: Inside, where: Filter) -> FactVerdict:
    node, expected = question.node, question.expected
    if isinstance(expected, DurationRange):
        return lasts(index, node, TcpState(question.part or ""), expected, inside, where)
    if question.fact == "requests_per_connection":
        return requests_per_connection(index, node, expected, inside, where)
    tally = count(index, index.resolve(node), question.fact, question.part, inside, where)
    return tally.verdict(node, question.label, NOUNS[question.fact], expected)
