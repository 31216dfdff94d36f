"""What went over the wire, and what the table of a NAT has of it."""

from __future__ import annotations

from orchestrator.scenario.facts.fact import (
    CONNTRACK_STATES,
    DIRECTIONS,
    AllOrByConntrackState,
    ByDirection,
    Fact,
    FactKind,
)

FACTS = (
    Fact(
        "bytes",
        FactKind.COUNTER,
        "bytes of data that TCP of this node sent, each once however often it was sent again, and received",
        "byte",
        ByDirection,
        keys=DIRECTIONS,
    ),
    Fact(
        "conntrack",
        FactKind.GAUGE,
        "entries for TCP in this NAT's conntrack table, which is read at named moments; or by their state",
        "entry",
        AllOrByConntrackState,
        roles=("middle",),
        keys=CONNTRACK_STATES,
    ),
)
