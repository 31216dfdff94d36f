"""How a fact is evaluated: at instants, over a window, or by counting what is inside of a window."""

from __future__ import annotations

import math
from collections.abc import Callable

from orchestrator.history.index import Index
from orchestrator.judge.filter import Filter
from orchestrator.judge.points import PointFact
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally, add, unknown
from orchestrator.recording.causes import NeverSampled, WindowOutsideSamples
from orchestrator.recording.verdict import FactVerdict
from orchestrator.text.record import record


@record
class AtInstants:
    """Gauges and queues: `make` says what the fact's truth is at every instant of the run."""

    make: Callable[[Index, Question, Filter], PointFact]


@record
class OverWindow:
    """Counters and durations: `judge` answers the question for a window."""

    judge: Callable[[Index, Question, Inside, Filter], FactVerdict]


Evaluation = AtInstants | OverWindow

Count = Callable[[Index, str, Question, Inside, Filter], Tally]
"""Counts on one node. A question that names a service is asked of each of its nodes."""


def counter(count: Count) -> OverWindow:
    """A fact that is the sum over the nodes. What happened where a node was not sampled is not known."""

    def judge(index: Index, question: Question, inside: Inside, where: Filter) -> FactVerdict:
        nodes = index.resolve(question.node)
        tallies = [_unwatched(index, node, inside, count(index, node, question, inside, where)) for node in nodes]
        return add(tallies).verdict(question)

    return OverWindow(judge)


def _unwatched(index: Index, node: str, inside: Inside, tally: Tally) -> Tally:
    """What happened outside of the time in which the node was sampled is not known: it can only add."""
    observed = index.observed([node])
    if observed is None:
        return unknown(NeverSampled(nodes=(node,)))
    first, last = observed
    if inside.start >= first and inside.end <= last:
        return tally
    doubt = WindowOutsideSamples(start=inside.start, end=inside.end, first=first, last=last)
    return Tally(tally.least, math.inf, doubt, tally.evidence)
