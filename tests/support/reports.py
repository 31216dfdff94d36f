"""A report in few lines, for the message of a test that fails: where only the end of a long output is kept, it is all
that one has of a failure that does not come again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_short(report: Mapping[str, Any]) -> str:
    """What a JSON report says against the scenario, and the life of each connection at both ends."""
    lines = [report["trouble"], *map(str, report["notes"]), *map(str, report["contradictions"])]
    for verdict in report["verdicts"]:
        if verdict["outcome"] != "pass":
            facts = [fact for fact in verdict["facts"] if fact["outcome"] != "pass"]
            reasons = "; ".join(fact["words"]["reason"] or str(fact["words"]) for fact in facts)
            lines.append(f"{verdict['outcome']}: {verdict['that']}: {reasons}")
    lines += [_connection(one) for one in report["connections"]]
    return "\n".join(line for line in lines if line)


def _connection(one: Mapping[str, Any]) -> str:
    closing = one["closing"]
    return f"{_end(one['client'])} -- {_end(one['server'])}, {closing['kind']} by {closing['by']}"


def _end(end: Mapping[str, Any] | None) -> str:
    if end is None:
        return "nobody"
    stays = " ".join(f"{stay['first']:.6f} {stay['state']}" for stay in end["stays"])
    return f"{end['node']} {end['local']} {end['peer']} ({stays})"
