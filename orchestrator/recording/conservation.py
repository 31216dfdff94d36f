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

_AGAIN = "segments sent again"


def disagreements(
    lives: Iterable[TracedLife], events: Iterable[Event], counters: Counters, ticks: Sequence[Event]
) -> list[str]:
    """One sentence per node and number in which trace and counters differ; empty when nothing was missed."""
    counted = _count(lives, events)
    found = (
        _disagreement(node, what, counted[node, what], names, counters, ticks)
        for node in counters.series
        for what, names in _WHAT.items()
    )
    return [sentence for sentence in found if sentence]


def retransmissions(
    events: Iterable[Event], counters: Counters, ticks: Sequence[Event]
) -> dict[str, tuple[Event, ...]]:
    """Node -> its `retransmit` events, for the nodes of which they are as many as the kernel counted.

    One event may stand for several segments, where the kernel sent a large one in pieces: then they are fewer.
    """
    of_node: dict[str, list[Event]] = {node: [] for node in counters.series}
    for event in events:
        of_node[event["node"]].append(event)
    return {
        node: tuple(found)
        for node, found in of_node.items()
        if not _disagreement(node, _AGAIN, [float(one["t"]) for one in found], ("RetransSegs",), counters, ticks)
    }


def _disagreement(
    node: str, what: str, times: Sequence[float], names: Sequence[str], counters: Counters, ticks: Sequence[Event]
) -> str:
    """In words; empty when trace and counters agree, or when the counters were not read."""
    first, last = ticks[0], ticks[-1]
    rises = [counters.rise(node, name, float(first["t"]), float(last["t"])) for name in names]
    if None in rises:
        return ""
    rise = sum(value for value in rises if value is not None)
    least = _inside(times, _read(first), float(last["t"]))
    most = _inside(times, float(first["t"]), _read(last))
    if least <= rise <= most:
        return ""
    seen = f"{least}" if least == most else f"{least} to {most}"
    return f"{node}: the trace shows {seen} {what}, the kernel counted {rise}"


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
