"""What became of requests: counts by client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import field

from orchestrator.analysis.services import services
from orchestrator.history.model import History
from orchestrator.history.reports import attempt_error
from orchestrator.recording.events import Event, answered, raw_outcome
from orchestrator.text.record import record


@record
class Requests:
    """What one client got: HTTP status, or a data store's answer -> how many; error name -> how many.

    `repeated`: attempts that its library made again by itself, by their error; the last one is what the request got.
    """

    answered: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.answered.total() + self.errors.total()


def requests_by_node(history: History) -> dict[str, Requests]:
    """Client node -> what its requests came to, in the order of their first requests."""
    return _requests(history.requests, lambda node: node)


def requests_by_client(history: History) -> dict[str, Requests]:
    """The same with the replicas of a service together, under its name."""
    service = services(history)
    return _requests(history.requests, lambda node: service.get(node, node))


def _requests(events: Iterable[Event], name: Callable[[str], str]) -> dict[str, Requests]:
    found: dict[str, Requests] = {}
    for event in events:
        got = found.setdefault(name(str(event.get("node", "?"))), Requests())
        if event.get("repeated"):
            got.repeated[attempt_error(event)] += 1
        elif error := event.get("error"):
            got.errors[error_name(error)] += 1
        else:
            got.answered[answered(event) or "?"] += 1
    return found


def raw_by_node(history: History) -> dict[str, Counter[str]]:
    """Client node -> how its exchanges of steps `raw` ended -> how many."""
    return _raw(history, lambda node: node)


def raw_by_client(history: History) -> dict[str, Counter[str]]:
    """The same with the replicas of a service together, under its name."""
    service = services(history)
    return _raw(history, lambda node: service.get(node, node))


def _raw(history: History, name: Callable[[str], str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for event in history.raw:
        found.setdefault(name(str(event.get("node", "?"))), Counter())[raw_outcome(event)] += 1
    return found


def error_name(error: object) -> str:
    """The name in a request's `error`, which is `{name, text}` (nodes/README.md)."""
    return str(error.get("name", "error")) if isinstance(error, dict) else str(error)
