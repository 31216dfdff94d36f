"""Connections of which the node sent the first FIN or RST. One that is still open does not count."""

from __future__ import annotations

from functools import partial

from orchestrator.history.index import Index
from orchestrator.judge.evidence import connection_seen, unobserved
from orchestrator.judge.facts.connections import end_matches
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Sum, Tally
from orchestrator.recording.closing import Closing, ClosingKind


def first_fin(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    total = Sum(inside)
    for connection in index.through.get(node, ()):
        if connection.closed is not None and connection.closing.first_closer == node:
            far, near = connection.client_pair
            matches = where.match(near, far, None)
            if matches is not False:
                total.add(*connection.closed, int(matches is True), 1, partial(connection_seen, connection))
    for connection in index.connections.get(node, ()):
        closing = connection.closing
        if connection.closed is None or not _may_be_first(closing, node):
            continue
        if closing.kind is ClosingKind.RST and not connection.established:
            continue  # there was no connection yet, only a SYN that was refused
        matches = end_matches(where, connection, node)
        if matches is not False:
            sure = int(matches is True and closing.first_closer == node)
            total.add(*connection.closed, sure, 1, partial(connection_seen, connection))
    for entry in index.wholly_unobserved(node):
        total.add(entry.after, entry.before, 0, entry.most, partial(unobserved, entry))
    return total.tally()


def _may_be_first(closing: Closing, node: str) -> bool:
    """Whether the node sent the first FIN or RST, or may have, as far as the recording shows."""
    if closing.kind in (ClosingKind.FIN, ClosingKind.RST):
        return closing.by == node
    return closing.kind in (ClosingKind.SIMULTANEOUS, ClosingKind.UNKNOWN)


EVALUATIONS = {"first_fin": counter(first_fin)}
