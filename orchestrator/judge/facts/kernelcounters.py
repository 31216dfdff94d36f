"""The kernel's counters by name."""

from __future__ import annotations

from orchestrator.history.index import Index
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.kernelcounters import kernel_counter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Tally


def counters(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    assert question.part is not None
    return kernel_counter(index, node, question.part, inside, where)


def zero_windows(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    """TCPToZeroWindowAdv rises when a segment leaves with a window of 0 after one with room (net/ipv4/tcp_output.c)."""
    return kernel_counter(index, node, "TCPToZeroWindowAdv", inside, where)


EVALUATIONS = {"counters": counter(counters), "zero_windows": counter(zero_windows)}
