"""What the kernel of a node counted."""

from __future__ import annotations

from orchestrator.scenario.facts.fact import COUNTERS, PROBES, ByCounter, ByProbes, Fact, FactKind

FACTS = (
    Fact(
        "counters",
        FactKind.COUNTER,
        "by how much counters of this node's kernel rose, by their names in `nstat`",
        "time",
        ByCounter,
        keys=COUNTERS,
    ),
    Fact(
        "zero_windows",
        FactKind.COUNTER,
        "how often this node told a peer that it has no room for more data, by a window of 0",
        "time",
    ),
    Fact(
        "keepalive_probes",
        FactKind.COUNTER,
        "keep-alive probes that this node sent, and those of them that nothing answered before the next was due",
        "probe",
        ByProbes,
        keys=PROBES,
    ),
)
