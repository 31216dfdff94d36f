"""Verdicts: the outcome of one expectation, with its facts, margins and evidence. Plain data, JSON both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        raise NotImplementedError
