"""A record is what a frozen dataclass is, but for the interpreter's own look at each assignment."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from orchestrator.text.record import record


@record
class Made:
    node: str
    t: float = 0.0


@dataclass(frozen=True, slots=True)
class Frozen:
    node: str
    t: float = 0.0


def test_it_has_the_fields_the_equality_and_the_hash_of_a_frozen_dataclass() -> None:
    assert [(one.name, one.default) for one in fields(Made)] == [(one.name, one.default) for one in fields(Frozen)]
    assert Made("client", 1.0) == replace(Made("client"), t=1.0) != Made("client", 2.0)
    assert {Made("client", 1.0), Made("client", 1.0)} == {Made("client", 1.0)}
    assert hash(Made("client", 1.0)) == hash(Frozen("client", 1.0))
    assert not hasattr(Made("client"), "__dict__")
