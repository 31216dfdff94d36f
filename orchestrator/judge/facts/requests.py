"""What clients report: their requests, those that failed, the responses, by the time at which each request ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.history.index import Index
from orchestrator.judge.evidence import request_seen
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally, count_events, unknown
from orchestrator.recording.causes import NotReported
from orchestrator.recording.events import Event, answered


def _requests(
    index: Index,
    node: str,
    question: Question,
    inside: Inside,
    where: Filter,
    *,
    wanted: Callable[[Event, str | None], bool],
) -> Tally:
    """`wanted`: whether a request is of those that count, for the question's part."""
    if node not in index.history.asking:
        return unknown(NotReported(nodes=(node,), what="requests"))
    events = [event for event in index.history.requests if wanted(event, question.part)]
    return count_events(node, events, inside, where, request_seen)


def _failed(event: Event, name: str | None) -> bool:
    error = event.get("error")
    return error is not None and (name is None or error["name"] == name)


EVALUATIONS = {
    "requests": counter(partial(_requests, wanted=lambda event, part: True)),
    "errors": counter(partial(_requests, wanted=_failed)),
    "statuses": counter(partial(_requests, wanted=lambda event, status: answered(event) == status)),
}
