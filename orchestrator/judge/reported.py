"""Whether anything can be said of what the programs of nodes report."""

from __future__ import annotations

from orchestrator.history.index import Index
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside
from orchestrator.recording.causes import NotFilterable, NotReported, WindowOutsideSamples


def problem_with_requests(
    index: Index, question: Question, nodes: tuple[str, ...], inside: Inside, where: Filter
) -> NotReported | NotFilterable | WindowOutsideSamples | None:
    """Why nothing can be said of the requests of these clients in the window."""
    silent = tuple(name for name in nodes if name not in index.history.asking)
    if silent:
        return NotReported(nodes=silent, what="requests")
    if where.by_owner:
        return NotFilterable(node=question.node, source="program")
    first, last = index.observed(nodes) or (None, None)
    if first is None or last is None or inside.start < first or inside.end > last:
        return WindowOutsideSamples(start=inside.start, end=inside.end, first=first, last=last)
    return None
