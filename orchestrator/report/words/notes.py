"""What the reader of a report should know besides its verdicts."""

from __future__ import annotations

from orchestrator.analysis.report import RunReport
from orchestrator.history.model import Contradiction
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import at
from orchestrator.text.numbers import plural

_NAMED = 3
"""Contradictions that are named one by one."""


def trouble(report: RunReport) -> str:
    """Why the run did not get to its end, in one sentence; empty when it did."""
    if report.ended == "done":
        return ""
    detail = str(report.history.end.get("detail") or "")
    return f"the run was not completed: {report.ended or 'broken off'}" + (f", {detail}" if detail else "")


def notes_of(report: RunReport) -> list[str]:
    """The recording's notes, those of the report, and where witnesses do not agree."""
    found = report.history.contradictions
    more = len(found) - _NAMED
    rest = [f"{plural(more, 'more contradiction')}: --format json lists them"] if more > 0 else []
    return [*report.all_notes, *map(contradiction, found[:_NAMED]), *rest]


def contradiction(one: Contradiction) -> str:
    """`contradiction: client 198.18.0.2:41000 -> 198.18.0.3:80: ss shows TIME_WAIT at 3.2s, the history has ...`."""
    who = "a sample" if one.witness == "sample" else one.witness
    held = " or ".join(sorted(map(_state, one.held)))
    return (
        f"contradiction: {one.node} {one.local} -> {one.peer}: {who} shows {_state(one.shown)} at {at(one.t)}, where "
        f"the rest of the recording has {held}; this socket is taken as unknown there"
    )


def _state(state: TcpState) -> str:
    return "no such socket" if state is TcpState.CLOSED else state.value
