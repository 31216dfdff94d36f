"""How long requests take."""

from __future__ import annotations

from orchestrator.scenario.facts.fact import PERCENTILES, EachOrByPercentile, Fact, FactKind

FACTS = (
    Fact(
        "duration",
        FactKind.DURATION,
        "how long each request of this client took that ended, failed ones included, from the call of its library to "
        "the answer or error; or percentiles of that",
        "second",
        EachOrByPercentile,
        roles=("client",),
        keys=PERCENTILES,
    ),
)
