"""How many requests of the window each connection of a client carried, failed ones included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.history.index import Index
from orchestrator.judge.evidence import capped
from orchestrator.judge.facts.evaluation import OverWindow
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.reported import problem_with_requests
from orchestrator.judge.tally import Inside, margin
from orchestrator.recording.causes import MatchedNothing, SomeOutOfRange
from orchestrator.recording.events import Event, begun
from orchestrator.recording.evidence import ConnectionCarried
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Outcome


def requests_per_connection(index: Index, question: Question, inside: Inside, where: Filter) -> FactVerdict:
    nodes = index.resolve(question.node)
    problem = problem_with_requests(index, question, nodes, inside, where)
    if problem is not None:
        return question.undecided(problem)
    carried = [
        (sum(inside.at(event["t"]) for event in events), events[0])
        for events in _by_connection(event for event in index.history.requests if event["node"] in nodes)
        if where.match(events[0]["local"], events[0].get("peer"), None)
    ]
    counts = [(count, first) for count, first in carried if count]
    if not counts:
        return question.undecided(MatchedNothing(of="request"))
    expected = question.expected
    counts.sort(key=lambda item: item[0] in expected)
    wrong = sum(count not in expected for count, _ in counts)
    values = [count for count, _ in counts]
    return question.verdict(
        Outcome.FAIL if wrong else Outcome.PASS,
        actual=Bounds(min(values), max(values), question.unit),
        reasons=(SomeOutOfRange(of="connection", count=wrong),) if wrong else (),
        margin=None if wrong else margin(question, min(values), max(values)),
        evidence=capped(
            [
                ConnectionCarried(node=event["node"], local=event["local"], peer=event.get("peer"), requests=count)
                for count, event in counts
            ]
        ),
    )


def _by_connection(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Requests of one local port, cut where it was used for a new connection: the first request on it says so."""
    current: dict[tuple[str, str, str | None], list[Event]] = {}
    for event in sorted(events, key=begun):
        if not event.get("local"):
            continue
        key = (event["node"], event["local"], event.get("peer"))
        if key in current and (event.get("nth") == 1 or event.get("reused") is False):
            yield current.pop(key)
        current.setdefault(key, []).append(event)
    yield from current.values()


EVALUATIONS = {"requests_per_connection": OverWindow(requests_per_connection)}
