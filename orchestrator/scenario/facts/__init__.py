"""The facts that an expectation can name. Model, JSON Schema, reference page and judge all take them from here.

Each module of this folder has a tuple `FACTS`; a new fact is a new module here and one in judge/facts/
(docs/dev/facts.md). The judge refuses to start with a fact that only one of the two knows.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from orchestrator.scenario.facts.fact import LEGAL_WHENS, Fact, FactKind

__all__ = ["FACTS", "LEGAL_WHENS", "Fact", "FactKind"]


def _found() -> Iterator[Fact]:
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        yield from getattr(importlib.import_module(f"{__name__}.{module.name}"), "FACTS", ())


def _by_name() -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    kinds = list(FactKind)
    for fact in sorted(_found(), key=lambda fact: kinds.index(fact.kind)):
        if fact.name in facts:
            raise ValueError(f"two modules of {__name__} have a fact {fact.name}")
        facts[fact.name] = fact
    return facts


FACTS = _by_name()
"""Name -> fact: gauges, queues, counters, durations."""
