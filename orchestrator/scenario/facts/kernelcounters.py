"""What the kernel of a node counted."""

from __future__ import annotations

from orchestrator.scenario.facts.fact import ByCounter, Fact, FactKind

FACTS = (
    Fact(
        "counters",
        FactKind.COUNTER,
        "by how much counters of this node's kernel rose, by their names in `nstat`",
        "time",
        ByCounter,
    ),
)
