"""Numbers of sockets in a state, and `others`: every state that the facts of the node do not name."""

from __future__ import annotations

from orchestrator.history.index import Index
from orchestrator.judge.facts.evaluation import AtInstants
from orchestrator.judge.filter import Filter
from orchestrator.judge.gauges import Gauge, other_states
from orchestrator.judge.question import Question
from orchestrator.tcp.states import GAUGE_STATES


def _in_state(index: Index, question: Question, where: Filter) -> Gauge:
    return Gauge(index, question, frozenset({question.state}), where)


def _others(index: Index, question: Question, where: Filter) -> Gauge:
    return Gauge(index, question, other_states(question.named), where)


EVALUATIONS = {
    **{state.value: AtInstants(_in_state) for state in GAUGE_STATES},
    "others": AtInstants(_others),
}
