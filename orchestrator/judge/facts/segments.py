"""RSTs and retransmissions that a node sent: each in the kernel's trace, without one by the kernel's counter."""

from __future__ import annotations

from orchestrator.history.index import Index
from orchestrator.judge.evidence import segment_seen
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.kernelcounters import kernel_counter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally, count_events, unknown
from orchestrator.recording.causes import AnswersForOthers
from orchestrator.tcp.addresses import node_at


def resets(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    if index.history.exact:
        return count_events(node, index.history.resets, inside, where, segment_seen, traced=True)
    if _answers_for_others(index, node):
        return unknown(AnswersForOthers(node=node))
    return kernel_counter(index, node, "OutRsts", inside, where)


def retransmits(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    counted = kernel_counter(index, node, "RetransSegs", inside, where)
    if node not in index.history.retransmits:
        return counted
    shown = count_events(node, index.history.retransmits[node], inside, where, segment_seen, traced=True)
    if node not in index.history.retransmits_counted or where.by_owner:
        return shown
    # The trace shows some of them, each one at least; and the counter all of the node.
    least = max(shown.least, counted.least)
    most = max(least, counted.most)
    return Tally(least, most, None if least == most else counted.doubt, shown.evidence)


def _answers_for_others(index: Index, node: str) -> bool:
    """Whether connections pass through the node whose client does not call the node itself."""
    flows = (flow for connection in index.through.get(node, ()) for flow in connection.via if flow.node == node)
    known = index.history.addresses_at
    return any(node_at(flow.original[1], node, known(flow.began[0])) != node for flow in flows)


EVALUATIONS = {"resets": counter(resets), "retransmits": counter(retransmits)}
