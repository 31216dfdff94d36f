"""What a comparison finds: a claim of simctl that the wire or the samples refute, and how much was compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` groups them; `claim` is what simctl says, `wire` what refutes it, `t` when, in seconds of the run."""

    kind: str
    where: str
    claim: str
    wire: str
    t: float

    def __str__(self) -> str:
        return f"{self.kind}: {self.where} at {self.t:.3f} s: simctl says {self.claim}; {self.wire}"


@dataclass(slots=True)
class Comparison:
    """Of one run, or of many. `figures` count what was compared, and what simctl did not know though the model did."""

    findings: list[Finding] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    """Ends that the model's own machine cannot explain: a gap in the model, to be looked at; no finding."""

    def add(self, kind: str, where: str, claim: str, wire: str, t: float) -> None:
        self.findings.append(Finding(kind, where, claim, wire, t))

    def merge(self, other: Comparison) -> None:
        self.findings += other.findings
        self.figures += other.figures
        self.unexplained += other.unexplained

    @property
    def kinds(self) -> dict[str, int]:
        return dict(sorted(Counter(finding.kind for finding in self.findings).items()))
