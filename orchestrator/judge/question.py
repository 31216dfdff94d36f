"""One fact of one node, as an expectation asks for it."""

from __future__ import annotations

from orchestrator.judge.evidence import NOTHING, Shown
from orchestrator.recording.causes import Reason
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome
from orchestrator.scenario.facts import FACTS, Fact
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record


@record
class Question:
    """One fact of one node as asked: `recv_q: {CLOSE_WAIT: 1}` is one per state. `part` is the key inside, if any."""

    node: str
    name: str
    part: str | None
    expected: Range | DurationRange
    named: frozenset[str] = frozenset()
    """The states that the node's facts name."""

    @property
    def fact(self) -> Fact:
        return FACTS[self.name]

    @property
    def unit(self) -> str:
        """What the fact counts or measures."""
        return self.fact.unit

    @property
    def state(self) -> TcpState:
        """The state that it asks of, as its part or as the fact itself. Raises ValueError where it asks of none."""
        return TcpState(self.part or self.name)

    def verdict(
        self,
        outcome: Outcome,
        *,
        actual: Bounds | None = None,
        reasons: tuple[Reason, ...] = (),
        nearest: Instant | None = None,
        margin: Margin | None = None,
        evidence: Shown = NOTHING,
    ) -> FactVerdict:
        """The answer to it."""
        return FactVerdict(
            node=self.node,
            fact=self.name,
            part=self.part,
            expected=Bounds.of(self.expected.low, self.expected.high, self.unit),
            actual=actual,
            outcome=outcome,
            reasons=reasons,
            nearest=nearest,
            margin=margin,
            evidence=evidence.items,
            more_evidence=evidence.more,
        )

    def undecided(self, *reasons: Reason) -> FactVerdict:
        """Nothing can be said."""
        return self.verdict(Outcome.UNKNOWN, reasons=reasons)
