"""Connections that the node's program closed first. One that nobody has closed does not count."""

from __future__ import annotations

from functools import partial

from orchestrator.history.firstcall import first_calls
from orchestrator.history.index import Index
from orchestrator.history.votes import node_of
from orchestrator.judge.evidence import connection_seen, unobserved
from orchestrator.judge.facts.connections import end_matches
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Sum, Tally


def first_close(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    total = Sum(inside)
    for connection in index.connections.get(node, ()):
        for call, surely in first_calls(connection, exact=index.history.exact):
            matches = end_matches(where, connection, node) if node_of(connection, call.side) == node else False
            if matches is not False:
                sure = int(surely and matches is True)
                total.add(call.after, call.before, sure, 1, partial(connection_seen, connection))
    for entry in index.wholly_unobserved(node):
        total.add(entry.after, entry.before, 0, entry.most, partial(unobserved, entry))
    return total.tally()


EVALUATIONS = {"first_close": counter(first_close)}
