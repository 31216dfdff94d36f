"""What servers report: the requests that they executed, the connections that they closed and why."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.history.index import Index
from orchestrator.judge.evidence import report_seen
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally, count_events, unknown
from orchestrator.recording.causes import NotReported
from orchestrator.recording.events import Event


def served(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    return _reported(index, node, index.history.served, inside, where)


def closed_by(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    events = [event for event in index.history.closed if event["reason"] == question.part]
    return _reported(index, node, events, inside, where)


def _reported(index: Index, node: str, events: Iterable[Event], inside: Inside, where: Filter) -> Tally:
    if node not in index.history.speaking:
        return unknown(NotReported(nodes=(node,), what="served"))
    return count_events(node, events, inside, where, report_seen)


EVALUATIONS = {"served": counter(served), "closed_by": counter(closed_by)}
