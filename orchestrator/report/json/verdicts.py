"""Verdicts as JSON: the values, and beside them the words that a person reads."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from orchestrator.recording.verdict import FactVerdict, Verdict
from orchestrator.report.words.quantities import when
from orchestrator.report.words.verdicts import FactWords, of_fact
from orchestrator.text.jsondata import Json, plain
from orchestrator.text.record import record


@record(kw_only=True)
class FactDocument(FactVerdict):
    """One fact of one node or service, in values and in words."""

    words: FactWords
    """The same for people; no program needs to read it."""


@record(kw_only=True)
class VerdictDocument(Verdict):
    """One expectation of a scenario, judged, in values and in words."""

    facts: tuple[FactDocument, ...] = ()
    """One per fact and node, in the order of the scenario."""
    words: str
    """`when` for people: `at idle.end`, `over load.start .. load.end`."""


def document(verdict: Verdict) -> VerdictDocument:
    """The verdict with its words."""
    facts = tuple(FactDocument(**_values(fact), words=of_fact(fact)) for fact in verdict.facts)
    return VerdictDocument(**_values(verdict) | {"facts": facts, "words": when(verdict.when)})


def to_json(verdict: Verdict) -> Json:
    """What stands in verdict.json and in every document with verdicts."""
    made: Json = plain(document(verdict))
    return made


def _values(verdict: Verdict | FactVerdict) -> dict[str, Any]:
    return {field.name: getattr(verdict, field.name) for field in fields(verdict)}
