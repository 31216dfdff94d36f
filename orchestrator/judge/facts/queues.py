"""Recv-Q and Send-Q of every socket in a state."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from orchestrator.history.index import Index
from orchestrator.judge.facts.evaluation import AtInstants
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.queues import Queue


def _queue(index: Index, question: Question, where: Filter, *, name: str) -> Queue:
    return Queue(index, question, where, attrgetter(name), grows=name == "recv_q")


EVALUATIONS = {name: AtInstants(partial(_queue, name=name)) for name in ("recv_q", "send_q")}
