"""How long the requests of the window took, or percentiles of that; by the time at which each request ended."""

from __future__ import annotations

import math
from typing import NamedTuple

from orchestrator.history.durations import PERCENTILES, finished, percentile
from orchestrator.history.index import Index
from orchestrator.judge.evidence import capped, request_seen
from orchestrator.judge.facts.evaluation import OverWindow
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.reported import problem_with_requests
from orchestrator.judge.tally import Inside
from orchestrator.recording.causes import (
    AddressUnknown,
    MatchedNothing,
    OutOfRange,
    Reason,
    RequestsUntimed,
    SomeOutOfRange,
)
from orchestrator.recording.events import Event
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome


class _Took(NamedTuple):
    """A request. `seconds` is None where nobody tells; `sure`: it surely counts."""

    event: Event
    seconds: float | None
    sure: bool


def duration(index: Index, question: Question, inside: Inside, where: Filter) -> FactVerdict:
    nodes = index.resolve(question.node)
    problem = problem_with_requests(index, question, nodes, inside, where)
    if problem is not None:
        return question.undecided(problem)
    found = list(_found(index, nodes, inside, where))
    if not any(one.sure for one in found):
        return question.undecided(AddressUnknown() if found else MatchedNothing(of="ended_request"))
    least, most = _bounds(found, question.part)
    expected = question.expected
    if expected.low <= least and most <= expected.high:
        outcome = Outcome.PASS
    elif _fails(found, question, least, most):
        outcome = Outcome.FAIL
    else:
        outcome = Outcome.UNKNOWN
    known = [one for one in found if one.seconds is not None]
    known.sort(key=lambda one: one.seconds or 0.0, reverse=True)
    return question.verdict(
        outcome,
        actual=Bounds.of(least, most, question.unit),
        reasons=_reasons(found, question, outcome),
        margin=_margin(question, least, most) if outcome is Outcome.PASS else None,
        evidence=capped([request_seen(one.event, took=one.seconds) for one in known]),
    )


def _found(index: Index, nodes: tuple[str, ...], inside: Inside, where: Filter) -> list[_Took]:
    of_nodes = (event for event in index.history.requests if event["node"] in nodes)
    found = []
    for event, seconds in finished(of_nodes):
        if not inside.at(event["t"]):
            continue
        matches = where.match(event.get("local"), event.get("peer"), None)
        if matches is not False:
            found.append(_Took(event, seconds, matches is True))
    return found


def _bounds(found: list[_Took], part: str | None) -> tuple[float, float]:
    """What is asked, at least and at most: what is not known of a request may be 0, or without end."""
    shortest = sorted(one.seconds or 0.0 if one.sure else 0.0 for one in found)
    longest = sorted(one.seconds if one.sure and one.seconds is not None else math.inf for one in found)
    if part is None:
        known = [one.seconds for one in found if one.seconds is not None]
        untimed = len(known) < len(found)
        return 0.0 if untimed else min(known), math.inf if untimed else max(known)
    # Of what perhaps counts every number of requests, and any duration, lies between these two (docs: nearest rank).
    percent = PERCENTILES[part]
    return percentile(shortest, percent), percentile(longest, percent)


def _fails(found: list[_Took], question: Question, least: float, most: float) -> bool:
    expected = question.expected
    if question.part is not None:
        return most < expected.low or least > expected.high
    return any(one.sure and one.seconds is not None and one.seconds not in expected for one in found)


def _reasons(found: list[_Took], question: Question, outcome: Outcome) -> tuple[Reason, ...]:
    if outcome is Outcome.PASS:
        return ()
    if outcome is Outcome.FAIL:
        if question.part is not None:
            return (OutOfRange(),)
        wrong = sum(one.sure and one.seconds is not None and one.seconds not in question.expected for one in found)
        return (SomeOutOfRange(of="request", count=wrong),)
    untimed = sum(one.seconds is None for one in found)
    return (RequestsUntimed(count=untimed),) if untimed else (AddressUnknown(),)


def _margin(question: Question, least: float, most: float) -> Margin | None:
    room = question.expected.high - most
    if question.expected.low > 0:
        room = min(room, least - question.expected.low)
    return None if math.isinf(room) else Margin(room, question.unit)


EVALUATIONS = {"duration": OverWindow(duration)}
