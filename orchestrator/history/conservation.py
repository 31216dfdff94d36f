"""Whether the trace missed anything: the kernel's counters, which cannot miss, must show the same numbers.

A counter is read in a tick, after the time that the tick bears. So what the trace counts up to that time is the least
that the counter can have risen, and what it counts up to the end of the tick is the most. Where the last tick did not
read a counter, the least is what the trace counts up to a tick that surely did.

The counters of a node also count what it sends to itself over 127.0.0.0/8. Events of such sockets do not show
whose they are, so the trace only has their numbers, for the whole machine: a difference of so much at most may be
theirs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.history.counters import Counters
from orchestrator.history.firstsegment import SENT_AFTER
from orchestrator.history.segments import NO_WIRE, Wire
from orchestrator.history.tracedlife import TracedLife
from orchestrator.recording.events import Event
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_OPENED = "connections opened"

_WHAT = {
    _OPENED: ("ActiveOpens",),
    "connections accepted": ("PassiveOpens",),
    "RST sent": ("OutRsts",),
    "minisockets": ("TW", "TWKilled"),
}
"""What is compared: words for people -> the counters whose sum it is."""

_RETRANSMITTED = "segments retransmitted"


@record
class Comparison:
    """What the trace shows of one node, `least` to `most`, beside what its kernel counted."""

    node: str
    what: str
    least: int
    most: int
    counted: int

    @property
    def agrees(self) -> bool:
        return self.least <= self.counted <= self.most

    def agrees_with(self, loopback: int) -> bool:
        """Whether the difference may be what the node sent to itself, `loopback` at most."""
        return self.least <= self.counted <= self.most + loopback

    def __str__(self) -> str:
        seen = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"{self.node}: the trace shows {seen} {self.what}, the kernel counted {self.counted}"


def compare(
    lives: Iterable[TracedLife], events: Iterable[Event], counters: Counters, ticks: Sequence[Event]
) -> list[Comparison]:
    """Every node and number in which trace and counters differ; empty when nothing was missed."""
    known = list(lives)
    counted = _count((life for life in known if not life.fruitless), events)
    unsure = _count((life for life in known if life.fruitless), ())
    found = (
        _compare(node, what, counted[node, what], names, counters, ticks, unsure[node, what])
        for node in counters.series
        for what, names in _WHAT.items()
    )
    return [one for one in found if one is not None and not one.agrees]


def called(lives: Sequence[TracedLife], counters: Counters, ticks: Sequence[Event], wire: Wire) -> list[TracedLife]:
    """The lives without those whose call sent nothing, because there was no free port or address: the counter did not
    count them, or it counted fewer than there are and their SYN is not on the wire, where that was recorded."""
    sure = _count((life for life in lives if not life.fruitless), ())
    unsure = _count((life for life in lives if life.fruitless), ())
    opened = {
        node: _compare(node, _OPENED, sure[node, _OPENED], _WHAT[_OPENED], counters, ticks, unsure[node, _OPENED])
        for node in {life.node for life in lives if life.fruitless}
    }

    by_pair: dict[tuple[str, str], list[float]] = defaultdict(list)
    for life in lives if opened else ():
        by_pair[life.local, life.peer].append(life.born)

    def sent_nothing(life: TracedLife) -> bool:
        if life.portless:
            return True
        one = opened[life.node] if life.fruitless else None
        if one is None:
            return False
        if one.counted <= one.least:
            return True
        if one.counted >= one.most or wire is NO_WIRE:
            return False
        found = wire.of_call((life.local, life.peer), life.born, life.born)
        if found is None or found.syn.t > life.born + SENT_AFTER:
            return True
        calls = by_pair[life.local, life.peer]
        return any(life.born < born <= found.syn.t for born in calls)  # it is another call's

    return [life for life in lives if not sent_nothing(life)]


def retransmissions(
    events: Iterable[Event], counters: Counters, ticks: Sequence[Event]
) -> tuple[dict[str, tuple[Event, ...]], dict[str, int]]:
    """Node -> its `retransmit` events; and node -> how many segments the kernel counted, where those are more.

    One event may stand for several segments, where the kernel sent a large one in pieces: then they are fewer. A node
    whose kernel counted fewer than the trace shows, or whose counter was not read, is in neither.
    """
    of_node: dict[str, list[Event]] = {node: [] for node in counters.series}
    for event in events:
        of_node[event["node"]].append(event)
    shown: dict[str, tuple[Event, ...]] = {}
    counted: dict[str, int] = {}
    for node, found in of_node.items():
        one = _compare(node, _RETRANSMITTED, list(map(_time, found)), ("RetransSegs",), counters, ticks)
        if one is None or one.counted < one.least:
            continue
        shown[node] = tuple(found)
        if one.counted > one.most:
            counted[node] = one.counted
    return shown, counted


def _compare(
    node: str,
    what: str,
    times: Sequence[float],
    names: Sequence[str],
    counters: Counters,
    ticks: Sequence[Event],
    unsure: Sequence[float] = (),
) -> Comparison | None:
    """None when the counters were not read. `unsure`: times of what may have been none."""
    first, last = ticks[0], ticks[-1]
    rises = [counters.rise(node, name, float(first["t"]), float(last["t"])) for name in names]
    if None in rises:
        return None
    least = _inside(times, _read(first), min(counters.read_until(name, float(last["t"])) for name in names))
    most = _inside([*times, *unsure], float(first["t"]), _read(last))
    return Comparison(node, what, least, most, sum(value for value in rises if value is not None))


def _count(lives: Iterable[TracedLife], events: Iterable[Event]) -> Mapping[tuple[str, str], list[float]]:
    """(node, what) -> when it happened."""
    counted: dict[tuple[str, str], list[float]] = defaultdict(list)
    for life in lives:
        if life.changes[0][1] is TcpState.SYN_RECV:
            counted[life.node, "connections accepted"].append(life.born)
        elif not life.portless:
            counted[life.node, _OPENED].append(life.born)
    for event in events:
        if event["ev"] == "rst" and not event.get("rule"):  # a packet filter's are not counted
            counted[event["node"], "RST sent"].append(float(event["t"]))
        elif event["ev"] == "minisocket" and event["what"] == "born":
            counted[event["node"], "minisockets"].append(float(event["t"]))
    return counted


def _time(event: Event) -> float:
    return float(event["t"])


def _read(tick: Event) -> float:
    return float(tick["t"]) + float(tick.get("took") or 0.0)


def _inside(times: Iterable[float], after: float, until: float) -> int:
    return sum(after < t <= until for t in times)
