"""Expectations beside a history: a verdict for each. Pure.

Every fact is three-valued. Where the samples bound a number from both sides, the fact passes when the whole of the
bounds lies in the expected range, fails when none of it does, and is unknown otherwise. So whatever really happened
between two samples, a pass is a pass and a fail is a fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.history.index import Index
from orchestrator.history.model import History
from orchestrator.judge.facts import EVALUATIONS
from orchestrator.judge.facts.evaluation import AtInstants
from orchestrator.judge.filter import Filter, filter_of
from orchestrator.judge.moments import Asked, Landmarks, asked
from orchestrator.judge.points import PointFact, PointJudge
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside
from orchestrator.recording.causes import NoSuchNode, Reason
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.scenario.model import Expectation, NodeFacts
from orchestrator.tcp.states import TcpState


def judge(expectations: Sequence[Expectation], history: History) -> list[Verdict]:
    """One verdict per expectation, in their order."""
    index = Index(history)
    landmarks = Landmarks(history.moments)
    return [_judge(expectation, index, landmarks) for expectation in expectations]


def _judge(expectation: Expectation, index: Index, landmarks: Landmarks) -> Verdict:
    asking = asked(expectation, index.history)
    where = filter_of(index, expectation.where)
    verdicts: dict[int, FactVerdict] = {}
    points: dict[int, PointFact] = {}
    questions = [question for node, facts in expectation.nodes.items() for question in _questions(node, facts)]
    for number, question in enumerate(questions):
        evaluation = EVALUATIONS[question.name]
        if (problem := _problem(asking, question, index)) is not None:
            verdicts[number] = question.undecided(problem)
        elif not isinstance(where, Filter):
            verdicts[number] = question.undecided(where)
        elif isinstance(evaluation, AtInstants):
            points[number] = evaluation.make(index, question, where)
        else:
            verdicts[number] = evaluation.judge(index, question, Inside(asking.start, asking.end), where)
    decided: float | None = None
    if points:
        judged, decided = PointJudge(index, landmarks, list(points.values()), asking).judge(expectation.for_)
        verdicts |= dict(zip(points, judged, strict=True))
    facts = tuple(verdicts[number] for number in range(len(questions)))
    of_instants = any(isinstance(EVALUATIONS[question.name], AtInstants) for question in questions)
    when = asking.when if asking.given or of_instants else asking.whole_run
    return Verdict(expectation.that, when, Outcome.worst([fact.outcome for fact in facts]), facts, decided)


def _problem(asking: Asked, question: Question, index: Index) -> Reason | None:
    """Why nothing can be said, whatever the fact is."""
    if asking.problem is not None:
        return asking.problem
    if index.resolve(question.node):
        return None
    return NoSuchNode(node=question.node, nodes=index.history.nodes)


def _questions(node: str, facts: NodeFacts) -> Iterator[Question]:
    given = facts.named()
    states = {state for name in ("recv_q", "send_q") for state in given.get(name, ())}
    named = frozenset(states | {name for name in given if name in TcpState.__members__})
    for fact, value in given.items():
        parts = value.items() if isinstance(value, dict) else [(None, value)]
        for part, expected in parts:
            yield Question(node, fact, part, expected, named)
