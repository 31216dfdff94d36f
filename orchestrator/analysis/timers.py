"""The timers that programs were given, by their knobs, and which of them fits a time.

A knob's name means the same in every kind (nodes/README.md), so what a timer limits is known by its name and by the end
of a connection at which its program is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from orchestrator.history.model import History, Side
from orchestrator.text.durations import parse_duration
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record

_IDLE = {
    Side.SERVER: ("KEEPALIVE_TIMEOUT",),
    Side.CLIENT: ("UPSTREAM_KEEPALIVE_TIMEOUT", "KEEPALIVE_EXPIRY", "EVICT_IDLE"),
}
_UNANSWERED = {Side.SERVER: ("READ_TIMEOUT",), Side.CLIENT: ("UPSTREAM_TIMEOUT",)}

_EARLY = 0.03
"""Seconds by which a timer may seem early: clocks of samples and of programs."""

_LATE = 1.1
"""Seconds that a timer may be late: software that looks once in a second."""
_LATE_BY = 0.05
"""The same as a part of the timer."""

_KNOB = re.compile(r"[A-Z][A-Z_]*")

Timers = Mapping[str, Mapping[str, tuple[float, ...]]]
"""Node -> knob -> seconds, each value that it had in the run."""


@record
class Timer(Data):
    """A timer of a node: the knob that sets it, and seconds."""

    node: str
    knob: str
    seconds: float


def timers_of(history: History) -> Timers:
    """Those that the recording has; older ones have none. A step may have changed some."""
    found: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for node in history.begin.get("nodes", ()):
        for knob, seconds in (node.get("timers") or {}).items():
            found[node["name"]][knob] = (float(seconds),)
    for event in history.happened:
        known = found.get(event["node"], {})
        for knob, value in (event.get("detail") or {}).items():
            if knob in known and _KNOB.fullmatch(knob):
                try:
                    known[knob] = (*known[knob], parse_duration(str(value).strip()))
                except ValueError:  # the recording is a stranger's
                    continue
    return found


def fitting(
    timers: Timers, node: str | None, side: Side, least: float, most: float, *, unanswered: bool
) -> Timer | None:
    """The timer of a node at that side of a connection which ends a silence of `least` to `most` seconds: idleness, or
    a wait for an answer. None where none fits; of several the nearest."""
    known = timers.get(node or "")
    if known is None or node is None:
        return None
    names = (_UNANSWERED if unanswered else _IDLE)[side]
    fits = [
        (least - seconds, knob, seconds)
        for knob in names
        for seconds in known.get(knob, ())
        if 0 < seconds <= most + _EARLY and least - seconds <= max(_LATE, _LATE_BY * seconds)
    ]
    if not fits:
        return None
    _, knob, seconds = min(fits)
    return Timer(node, knob, seconds)
