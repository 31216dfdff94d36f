"""The segments that opened and closed each connection, by the `segment` lines: what its ends really sent, and when.

A pair of addresses is used again, so its segments are of several lives. Each begins with a SYN of a sequence number of
its own (RFC 9293, 3.4.1), and Linux chooses later numbers for later lives (RFC 6528). So a segment belongs to the last
life whose numbers it can bear: the RST with which a client answers the challenge ACK of a half-open connection bears
numbers of that one, though its SYN went before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.recording.events import Event

Pair = tuple[str, str]
"""Source and destination address of a segment."""

MARGIN = 0.001
"""Seconds. A frame bears the time at which the far end of a veth pair took it, a call that of the trace."""

_CLOCKS = 2e-5
"""Seconds by which the two clocks differ as a rule."""

FILTER = "packet filter"
"""Instead of a node: a rule of simctl's own, which answers in the name of a node (history/filtered.py)."""

ICMP = "ICMP"
"""Instead of flags: what stands for an ICMP message to the end that the segment would be for."""

_HALF = 1 << 31
_ROUND = 1 << 32


class Segment(NamedTuple):
    """One segment with SYN, FIN or RST: `node` sent it at `t`, s of the run."""

    t: float
    node: str
    flags: str
    seq: int
    ack: int
    length: int

    @property
    def after_fin(self) -> int:
        """The sequence number that acknowledges its FIN."""
        return (self.seq + self.length + 1) % _ROUND

    def acknowledges(self, number: int) -> bool:
        """Whether its sender had received everything before the sequence number."""
        return "." in self.flags and _covers(number, self.ack)


@dataclass(slots=True)
class WireLife:
    """One life of an address pair on one network. `pair`: as the end has it that sent the first SYN."""

    pair: Pair
    syn: Segment
    answer: int | None = None
    """The initial sequence number of the other end, once its SYN was sent."""
    forth: list[Segment] = field(default_factory=list)
    """Segments in the direction of the SYN, in order of time."""
    back: list[Segment] = field(default_factory=list)

    def takes(self, segment: Segment, *, forth: bool) -> bool:
        """Whether the segment can be of this life, which began before it."""
        if not forth and "R" in segment.flags and "." in segment.flags and segment.seq == 0:
            # No number of its own: an answer to a segment without ACK, a SYN (RFC 9293, 3.10.7.1).
            return _covers(self.syn.seq + 1, segment.ack)
        start = self.syn.seq if forth else self.answer
        return start is None or _covers(start, segment.seq)


class Wire:
    """The lives of all address pairs of a recording."""

    def __init__(self, segments: Iterable[tuple[Pair, Segment]] = (), slow: float = 0.0) -> None:
        """Segments with their source and destination. `slow`: seconds that they may have been delayed."""
        self.slow = slow
        self._lives: dict[Pair, list[WireLife]] = defaultdict(list)
        for pair, segment in sorted(segments, key=lambda one: one[1].t):
            self._take(pair, segment)

    def of_call(self, pair: Pair, after: float, before: float) -> WireLife | None:
        """The life of a pair, as its client's end has it, that a call inside [after, before] began: the first of which
        the SYN was sent then or later; but one from just before where that would be much later. A port may be used
        again within microseconds."""
        lives = self._lives.get(pair, ())
        position = bisect_left(lives, after - _CLOCKS, key=_began)
        following = lives[position] if position < len(lives) else None
        just_before = lives[position - 1] if position and lives[position - 1].syn.t >= after - MARGIN else None
        much_later = following is None or following.syn.t > before + MARGIN
        return just_before if just_before is not None and much_later else following

    def last(self, pair: Pair, by: float) -> WireLife | None:
        """The last life of a pair of which the SYN was sent by then."""
        lives = self._lives.get(pair, ())
        position = bisect_right(lives, by, key=_began)
        return lives[position - 1] if position else None

    def with_number(self, pair: Pair, isn: int) -> WireLife | None:
        """The life of a pair that began with that initial sequence number: a NAT keeps it."""
        return next((life for life in self._lives.get(pair, ()) if life.syn.seq == isn), None)

    def _take(self, pair: Pair, segment: Segment) -> None:
        if "S" in segment.flags and "." not in segment.flags:
            self._syn(pair, segment)
            return
        for forth, key in ((True, pair), (False, pair[::-1])):
            life = self._taker(self._lives.get(key, ()), segment, forth=forth)
            if life is not None:
                if "S" in segment.flags and not forth:
                    life.answer = segment.seq if life.answer is None else life.answer
                (life.forth if forth else life.back).append(segment)
                return

    def _syn(self, pair: Pair, segment: Segment) -> None:
        ours, theirs = self._lives[pair], self._lives.get(pair[::-1], ())
        if ours and ours[-1].syn.seq == segment.seq:
            ours[-1].forth.append(segment)  # sent again
            return
        if theirs and not theirs[-1].back and not theirs[-1].answer and not _closed(theirs[-1]):
            theirs[-1].answer = segment.seq  # both call each other (RFC 9293, 3.5)
            theirs[-1].back.append(segment)
            return
        ours.append(WireLife(pair, segment, forth=[segment]))

    def _taker(self, lives: Sequence[WireLife], segment: Segment, *, forth: bool) -> WireLife | None:
        return next((life for life in reversed(lives) if life.takes(segment, forth=forth)), None)


NO_WIRE = Wire()
"""Of a recording without segments, or that may lack one."""


def _closed(life: WireLife) -> bool:
    return any(set("FR") & set(segment.flags) for segment in (*life.forth, *life.back))


def segment_of(event: Event) -> tuple[Pair, Segment]:
    """What a `segment` line says, with source and destination: half as large as the line."""
    segment = Segment(float(event["t"]), event["node"], event["flags"], event["seq"], event["ack"], event["len"])
    return (event["local"], event["peer"]), segment


def _covers(number: int, ack: int) -> bool:
    """Whether `ack` is `number` or comes after it, in the arithmetic of sequence numbers (RFC 9293, 3.4)."""
    return (ack - number) % _ROUND < _HALF


def _began(life: WireLife) -> float:
    return life.syn.t
