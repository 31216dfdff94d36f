"""Verdicts: the outcome of one expectation, with its facts, margins, reasons and evidence. Values, not words: words
are made of them in the report. Plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from orchestrator.recording.causes import MatchedNothing, Reason
from orchestrator.recording.evidence import Evidence
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.text.jsondata import Data, Json, parse, plain
from orchestrator.text.record import record


class Outcome(StrEnum):
    """Three values; `worst` is the maximum, as in Jepsen's checkers: fail over unknown over pass."""

    PASS = "pass"
    UNKNOWN = "unknown"
    FAIL = "fail"

    @staticmethod
    def worst(outcomes: list[Outcome]) -> Outcome:
        order = [Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL]
        return max(outcomes, key=order.index, default=Outcome.PASS)


class WhenKind(StrEnum):
    """How an expectation is asked of time."""

    AT = "at"
    ALWAYS = "always"
    NEVER = "never"
    EVENTUALLY = "eventually"
    OVER = "over"


@record
class When(Data):
    """When an expectation was asked: the moment of `at`, or the window of the others."""

    kind: WhenKind
    """How it was asked."""
    end: Instant
    """The moment of `at`; of a window, its end."""
    start: Instant | None = None
    """Where the window starts; null with `at`."""
    lasting: float | None = None
    """With `eventually`: how long it had to hold, seconds; null where any instant was enough."""


@record
class Margin(Data):
    """How far a fact that holds is from not holding."""

    amount: int | float | None
    """So much more, or less, and it would not hold; null where no amount would change it."""
    unit: str
    """Of the amount: `socket`, `byte`, `second`."""
    change: float | None = None
    """Seconds to the nearest instant at which it does not hold, or is not known to; null where there is none."""


@record(kw_only=True)
class FactVerdict(Data):
    """One fact of one node or service."""

    node: str
    """The node or service, as the scenario names it."""
    fact: str
    """Name of the fact: `CLOSE_WAIT`, `recv_q`, `errors`, `lasts`."""
    part: str | None = None
    """Which of several of that name: a state, the name of an error, a status; null where there is one only."""
    expected: Bounds
    """The range that the scenario gives."""
    actual: Bounds | None
    """What the recording shows, between two bounds where it cannot tell; null when nothing is known, or nothing was
    there that the fact speaks of."""
    outcome: Outcome
    """Whether it holds."""
    reasons: tuple[Reason, ...] = ()
    """Why it does not hold, the most important first; empty when it does."""
    nearest: Instant | None = None
    """The instant nearest to the one that decided at which it would have held; null where there is none."""
    margin: Margin | None = None
    """How far from not holding; null when it does not hold, or nothing could change it."""
    evidence: tuple[Evidence, ...] = ()
    """What shows it: at most ten items, those that decided first."""
    more_evidence: int = 0
    """How many items were left off."""

    @property
    def label(self) -> str:
        """`CLOSE_WAIT`, `recv_q CLOSE_WAIT`, `errors RemoteDisconnected`."""
        return self.fact if self.part is None else f"{self.fact} {self.part}"

    @property
    def matched_nothing(self) -> bool:
        """Whether there was nothing that the fact speaks of."""
        return any(isinstance(reason, MatchedNothing) for reason in self.reasons)


@record
class Verdict(Data):
    """One expectation of a scenario, judged."""

    that: str
    """The expectation's sentence."""
    when: When
    """When it was asked."""
    outcome: Outcome
    """The worst of its facts."""
    facts: tuple[FactVerdict, ...] = ()
    """One per fact and node, in the order of the scenario."""
    at: float | None = None
    """The instant that decided, seconds of the run; null where none did."""

    def to_json(self) -> Json:
        """Plain JSON data with every field; `from_json` reads it back."""
        made: Json = plain(self)
        return made

    @staticmethod
    def from_json(data: object) -> Verdict:
        """The verdict that `to_json` wrote; words beside the values are passed over. Raises ValueError with what was
        expected."""
        return parse(Verdict, data)


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """The worst outcome of all; pass when nothing was expected."""
    return Outcome.worst([verdict.outcome for verdict in verdicts])
