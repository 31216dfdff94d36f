"""Verdicts: the outcome of one expectation, with its facts, margins and evidence. Plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """Three values; `worst` is the maximum, as in Jepsen's checkers: fail over unknown over pass."""

    PASS = "pass"
    UNKNOWN = "unknown"
    FAIL = "fail"

    @staticmethod
    def worst(outcomes: list[Outcome]) -> Outcome:
        order = [Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL]
        return max(outcomes, key=order.index, default=Outcome.PASS)


@dataclass(frozen=True, slots=True)
class FactVerdict:
    """One fact of one node."""

    node: str
    fact: str
    """`CLOSE_WAIT`, `recv_q CLOSE_WAIT`, `errors RemoteDisconnected`, `lasts TIME_WAIT`."""
    expected: str
    actual: str
    """The value, or `2..3` when the recording cannot tell which."""
    outcome: Outcome
    reason: str = ""
    """Why not pass, in one plain sentence; empty on pass."""
    nearest: str = ""
    """The nearest moment at which it would have held: `idle.end + 1.2s`; empty when there is none or on pass."""
    margin: str = ""
    """How far from flipping, in words: `1 socket`, `0.8s`, `1 socket; 2.4s to the next change`."""
    evidence: tuple[str, ...] = ()
    """Lines of evidence: sockets with addresses, states and times; at most ten, then `... and N more`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation. `when` prints as the scenario wrote it: `at idle.end`, `over load.start .. load.end`."""

    that: str
    when: str
    outcome: Outcome
    facts: tuple[FactVerdict, ...] = field(default=())
    at: float | None = None
    """The instant that decided, in seconds of the run, where one did."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data with every field; `from_json` reads it back."""
        facts = [asdict(fact) | {"outcome": fact.outcome.value, "evidence": list(fact.evidence)} for fact in self.facts]
        return {
            "that": self.that,
            "when": self.when,
            "outcome": self.outcome.value,
            "at": self.at,
            "facts": facts,
        }

    @classmethod
    def from_json(cls, data: object) -> Verdict:
        """The verdict that `to_json` wrote. Raises ValueError with what was expected."""
        fields = _fields(data, "a verdict", {"that": str, "when": str, "outcome": str, "facts": list})
        at = fields.get("at")
        if at is not None and (isinstance(at, bool) or not isinstance(at, int | float)):
            raise ValueError(f"`at` of a verdict must be a number, not {at!r}")
        facts = tuple(_fact(item) for item in fields["facts"])
        return cls(fields["that"], fields["when"], Outcome(fields["outcome"]), facts, at)


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """The worst outcome of all; pass when nothing was expected."""
    return Outcome.worst([verdict.outcome for verdict in verdicts])


_FACT_TEXTS = ("node", "fact", "expected", "actual", "outcome", "reason", "nearest", "margin")


def _fact(data: object) -> FactVerdict:
    fields = _fields(data, "a fact", dict.fromkeys(_FACT_TEXTS, str) | {"evidence": list})
    if not all(isinstance(line, str) for line in fields["evidence"]):
        raise ValueError("`evidence` of a fact must be texts")
    texts = {name: fields[name] for name in _FACT_TEXTS}
    return FactVerdict(**texts | {"outcome": Outcome(fields["outcome"]), "evidence": tuple(fields["evidence"])})


def _fields(data: object, what: str, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{what} must be a mapping, not {type(data).__name__}")
    for name, kind in kinds.items():
        if not isinstance(data.get(name), kind):
            raise ValueError(f"`{name}` of {what} is missing or of the wrong kind")
    return data
