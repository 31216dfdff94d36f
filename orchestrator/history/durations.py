"""How long requests took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.recording.events import Event

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
"""Name -> percent."""


def finished(requests: Iterable[Event]) -> Iterator[tuple[Event, float | None]]:
    """The requests that ended, each with the seconds from the call of its library until it had the answer or error;
    None where its client does not tell when it called. Attempts that the library repeated are part of the last one.

    `requests`: in order of time, with `repeated` (history/reports.py)."""
    called: dict[tuple[object, ...], float | None] = {}
    for event in requests:
        began = None if event.get("t0") is None else float(event["t0"])
        key = (event["node"], event.get("id"), event.get("n"))
        if event.get("repeated"):
            called.setdefault(key, began)
            continue
        if key in called:
            began = called.pop(key)
        # Times have six digits.
        yield event, None if began is None else max(0.0, round(float(event["t"]) - began, 6))


def percentile(durations: Sequence[float], percent: int) -> float:
    """By nearest rank, of durations in order; there is one at least."""
    return durations[max(0, math.ceil(len(durations) * percent / 100) - 1)]
