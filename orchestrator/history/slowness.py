"""How late packets may have arrived, where a step has delayed some (`impair`): a lab's links do not delay otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable

from orchestrator.recording.events import Event


def slowest(happened: Iterable[Event]) -> float:
    """Seconds, of the whole recording; inf where a rate was bounded, 0 where nothing was delayed. What was delayed may
    arrive after the delay was healed, so it is not asked when that was. `happened`: the `node` lines."""
    details = [event.get("detail") or {} for event in happened if event["what"] == "impair"]
    late = [detail.get("slow") for detail in details if detail.get("slowed")]
    return max((float(one) if isinstance(one, int | float) else math.inf for one in late), default=0.0)
