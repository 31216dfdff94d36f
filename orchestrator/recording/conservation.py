"""Whether the trace missed anything: the kernel's counters, which cannot miss, must tell the same numbers.

A counter is read in a tick, after the time that the tick bears. So what the trace counts up to that time is the least
that the counter can have risen, and what it counts up to the end of the tick is the most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.recording.counters import Counters
from orchestrator.recording.events import Event
from orchestrator.recording.exact import TracedLife
from orchestrator.scenario.facts import TcpState

_WHAT = {
    "connections opened": ("ActiveOpens",),
    "connections accepted": ("PassiveOpens",),
    "RST sent": ("OutRsts",),
    "minisockets": ("TW", "TWKilled"),
}
"""What is compared: words for people -> the counters whose sum it is."""


def disagreements(
    lives: Iterable[TracedLife], events: Iterable[Event], counters: Counters, ticks: Sequence[Event]
) -> list[str]:
    """One sentence per node and number in which trace and counters differ; empty when nothing was missed."""
    counted = _count(lives, events)
    first, last = ticks[0], ticks[-1]
    found: list[str] = []
    for node in counters.series:
        for what, names in _WHAT.items():
            rises = [counters.rise(node, name, float(first["t"]), float(last["t"])) for name in names]
            if None in rises:
                continue
            rise = sum(value for value in rises if value is not None)
            times = counted[node, what]
            least = _inside(times, _read(first), float(last["t"]))
            most = _inside(times, float(first["t"]), _read(last))
            if not least <= rise <= most:
                seen = f"{least}" if least == most else f"{least} to {most}"
                found.append(f"{node}: the trace shows {seen} {what}, the kernel counted {rise}")
    return found


def _count(lives: Iterable[TracedLife], events: Iterable[Event]) -> Mapping[tuple[str, str], list[float]]:
    """(node, what) -> when it happened."""
    counted: dict[tuple[str, str], list[float]] = defaultdict(list)
    for life in lives:
        if life.changes[0][1] is TcpState.SYN_RECV:
            counted[life.node, "connections accepted"].append(life.born)
        elif not (life.ended is not None and life.local.endswith(":0")):  # no port was left: no SYN went out
            counted[life.node, "connections opened"].append(life.born)
    for event in events:
        if event["ev"] == "rst":
            counted[event["node"], "RST sent"].append(float(event["t"]))
        elif event["ev"] == "minisocket" and event["what"] == "born":
            counted[event["node"], "minisockets"].append(float(event["t"]))
    return counted


def _read(tick: Event) -> float:
    return float(tick["t"]) + float(tick.get("took") or 0.0)


def _inside(times: Iterable[float], after: float, until: float) -> int:
    return sum(after < t <= until for t in times)
