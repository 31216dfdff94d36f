"""What runs with different seeds found, in words."""

from __future__ import annotations

from orchestrator.analysis.compare.seeds import FactVariation
from orchestrator.report.words.quantities import actual
from orchestrator.report.words.verdicts import found


def extremes(fact: FactVariation) -> str:
    """`1`, `60.2s..62.1s`: from the lowest to the highest; everything that was found where not all are numbers."""
    span = fact.extremes
    return ", ".join(found(each.verdict) for each in fact.found) if span is None else actual(span)
