"""A verdict in words, each beside the value that it tells."""

from __future__ import annotations

from orchestrator.recording.verdict import FactVerdict
from orchestrator.report.words import quantities as words
from orchestrator.report.words.evidence import lines
from orchestrator.report.words.reasons import sentence
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class FactWords(Data):
    """What a fact's verdict says, for people."""

    fact: str
    """`CLOSE_WAIT`, `recv_q CLOSE_WAIT`, `errors RemoteDisconnected`."""
    expected: str
    """As the scenario writes it: `1`, `9..11`."""
    actual: str
    """The value, `2..3` when the recording cannot tell which; `none`, `unknown`."""
    reason: str
    """Why it does not hold, in a sentence; empty when it does."""
    nearest: str
    """The nearest moment at which it would have held: `idle.end + 1.2s`; empty when there is none."""
    margin: str
    """How far from not holding: `1 socket; 2.4s to the next change`; empty when it does not hold."""
    evidence: tuple[str, ...]
    """A line for each item, and a last one that says how many more there are."""


def of_fact(fact: FactVerdict) -> FactWords:
    """The words of one fact."""
    return FactWords(
        fact=fact.label,
        expected=words.expected(fact.expected),
        actual=found(fact),
        reason=sentence(fact),
        nearest="" if fact.nearest is None else words.instant(fact.nearest),
        margin=words.margin(fact.margin),
        evidence=lines(fact),
    )


def found(fact: FactVerdict) -> str:
    """The value, `2..3` when the recording cannot tell which; `none`: there was nothing that the fact speaks of;
    `unknown`: nobody knows."""
    if fact.actual is not None:
        return words.actual(fact.actual)
    return "none" if fact.matched_nothing else "unknown"
