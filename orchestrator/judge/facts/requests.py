"""What clients report: their requests, those that failed, the responses, by the time at which each request ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.history.index import Index
from orchestrator.history.reports import attempt_error
from orchestrator.judge.evidence import request_seen
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally, count_events, unknown
from orchestrator.recording.causes import NotReported
from orchestrator.recording.events import Event, answered, raw_outcome


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


def _repeated(event: Event, name: str | None) -> bool:
    return bool(event.get("repeated")) and (name is None or attempt_error(event) == name)


def _finished(event: Event) -> bool:
    """An attempt that the library repeats by itself is not what its caller gets."""
    return not event.get("repeated")


def _failed(event: Event, name: str | None) -> bool:
    error = event.get("error")
    return error is not None and _finished(event) and (name is None or error["name"] == name)


def _raw(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    if node not in index.history.asking:
        return unknown(NotReported(nodes=(node,), what="requests"))
    events = [event for event in index.history.raw if question.part in (None, raw_outcome(event))]
    return count_events(node, events, inside, where, request_seen)


EVALUATIONS = {
    "raw": counter(_raw),
    "requests": counter(partial(_requests, wanted=lambda event, part: _finished(event))),
    "errors": counter(partial(_requests, wanted=_failed)),
    "repeated": counter(partial(_requests, wanted=_repeated)),
    "statuses": counter(partial(_requests, wanted=lambda event, status: answered(event) == status)),
}
