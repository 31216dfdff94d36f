"""Are two recordings the same to the last byte, and if not, where do they part, and what may be the cause? Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from orchestrator.text.record import record

_TIMES = frozenset({"t", "t0", "took", "expires", "sent_at", "received_at"})
_NUMBERS = frozenset({"pid", "inode", "sk", "a"})
_PORTS = frozenset({"local", "peer"})


class Cause(StrEnum):
    """What may have made two recordings differ."""

    INSTRUCTIONS = "instructions"
    """The same happened at another time: the guests had not executed the same instructions before."""
    RANDOM = "random"
    """Other ports: the guests had other random numbers."""
    NUMBERING = "numbering"
    """Another number of processes, files or sockets was made before."""
    PROGRAM = "program"
    """A program said something else."""
    ORDER = "order"
    """Another event: two that happen at nearly the same time changed places, or one is missing."""
    ENDED = "ended"
    """One recording ends here."""
    SNAPSHOT = "snapshot"
    """The runs did not begin with the same snapshot."""


_CAUSES = (
    (_TIMES, Cause.INSTRUCTIONS),
    (_PORTS | _TIMES, Cause.RANDOM),
    (_NUMBERS | _PORTS | _TIMES, Cause.NUMBERING),
)
"""Which fields differ -> what that tells; the first that has them all."""


@record
class Difference:
    """The first line that is not the same. A recording that has ended there has an empty line."""

    line: int
    """Counted from 1."""
    first: str
    second: str
    fields: tuple[str, ...]
    """The keys whose values differ, of two events of the same kind; of nested ones with dots between."""
    lines: int
    """How many lines differ in all."""
    cause: Cause


def compare(first: bytes, second: bytes, *, same_snapshot: bool = True) -> Difference | None:
    """Two files of events, whole; None when they are byte-identical."""
    if first == second:
        return None
    pairs = list(zip_longest(first.splitlines(), second.splitlines(), fillvalue=b""))
    places = [place for place, (one, other) in enumerate(pairs) if one != other]
    if not places:  # only the end of the last line
        places = [len(pairs) - 1]
    one, other = pairs[places[0]]
    fields, cause = _explained(one, other)
    return Difference(
        line=places[0] + 1,
        first=one.decode(errors="replace"),
        second=other.decode(errors="replace"),
        fields=fields,
        lines=len(places),
        cause=cause if same_snapshot else Cause.SNAPSHOT,
    )


def _explained(one: bytes, other: bytes) -> tuple[tuple[str, ...], Cause]:
    """The fields that differ, and the cause."""
    if not one or not other:
        return (), Cause.ENDED
    try:
        events = [dict(_flat(json.loads(line))) for line in (one, other)]
    except ValueError:  # a broken recording
        return (), Cause.ENDED
    if any(events[0].get(key) != events[1].get(key) for key in ("ev", "node", "what", "name", "state", "new")):
        return (), Cause.ORDER
    fields = tuple(sorted(key for key in {*events[0], *events[1]} if events[0].get(key) != events[1].get(key)))
    last = {key.rpartition(".")[2] for key in fields}
    return fields, next((cause for known, cause in _CAUSES if last <= known), Cause.PROGRAM)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with the way to it. Raises ValueError for what is no mapping at its top."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else key)
    elif name:
        yield name, json.dumps(value)
    else:
        raise ValueError(value)
