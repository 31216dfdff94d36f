"""Bytes of data that went out of a node, and came to it."""

from __future__ import annotations

import math

from orchestrator.history.amounts import received, sent
from orchestrator.history.index import Index
from orchestrator.history.model import SIDES
from orchestrator.judge.evidence import Shown, capped, connection_seen
from orchestrator.judge.facts.connections import end_matches
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally
from orchestrator.recording.causes import BytesUnseen
from orchestrator.recording.evidence import BytesMoved


def moved(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    amount = sent if question.part == "sent" else received
    ticks = index.ticks(node)
    total = [0.0, 0.0]
    open_ended = 0
    shown: list[tuple[float, BytesMoved]] = []
    for connection in index.connections.get(node, ()):
        for side in SIDES:
            if (connection.client_node, connection.server_node)[side is SIDES[1]] != node:
                continue
            matches = end_matches(where, connection, node)
            if matches is False:
                continue
            before, after = (amount(connection, side, t, ticks) for t in (inside.start, inside.end))
            least, most = max(0.0, after[0] - before[1]), after[1] - before[0]
            if not most:
                continue
            total[0] += least if matches else 0.0
            total[1] += most
            open_ended += most > least or matches is None
            item = BytesMoved(
                connection=connection_seen(connection),
                node=node,
                least=int(least),
                most=None if math.isinf(most) else int(most),
            )
            shown.append((most, item))
    unseen = any(inside.perhaps(entry.after, entry.before) for entry in index.unobserved.get(node, ()))
    if unseen:
        total[1] = math.inf
    shown.sort(key=lambda one: one[0], reverse=True)
    doubt = BytesUnseen(node=node, connections=open_ended) if total[1] > total[0] else None
    evidence = capped([item for _, item in shown]) if shown else Shown()
    return Tally(int(total[0]), total[1] if math.isinf(total[1]) else int(total[1]), doubt, evidence)


EVALUATIONS = {"bytes": counter(moved)}
