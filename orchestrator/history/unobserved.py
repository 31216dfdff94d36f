"""Sockets that no tick saw, inferred from the kernel's counters of opened connections.

ActiveOpens rises when a SYN is sent (a socket enters SYN_SENT), PassiveOpens when a handshake is finished on the
listening side (a socket that a table may have shown in SYN_RECV before). So, up to a tick,

    opened (rise of both counters) - sockets of the tables that were counted = sockets that lived unseen + in flight,

where a socket is counted by the tick that first shows it, one first seen in SYN_RECV by the tick that shows it in
another state, and one that went from SYN_RECV straight out of the tables perhaps and perhaps not.

*In flight* are the sockets that were opened while the tick was taken: a node's table is read before its counters, so
the counters know them already and only the next table shows them. A loop of short connections meets that in every
second tick, so the difference goes up and down by ones and twos. Three things are certain. The number of unseen sockets
never falls, so it is at most the least difference from there on. It is at least the difference less what can have
been in flight: sockets that the next tick counts, and that this one opened. And at the last tick nothing is in flight
that matters: it lived after the recording. So each unseen socket has a first and a last interval in which it may
have lived, most often the same.

A difference below zero means a socket that the kernel never counts (one restored by TCP_REPAIR): it is set to zero.

AttemptFails rises when a socket goes from SYN_SENT or SYN_RECV to CLOSED by a RST. Connection attempts that were
refused are unseen sockets too, and are no connections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from orchestrator.history.counters import Counters
from orchestrator.history.model import Unobserved
from orchestrator.history.sampled import GapRule, Life, NodeTicks
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState


@dataclass(slots=True)
class _Seen:
    """What the tables show of one interval. `failed` counts sockets last seen in the handshake."""

    counted: int = 0
    perhaps: int = 0
    failed: int = 0


def count_unobserved(node: str, lives: list[Life], ticks: NodeTicks, counters: Counters) -> list[Unobserved]:
    """The unseen sockets of one node, in order of time: both ends of their intervals only grow."""
    by_tick = _tally(lives, ticks)
    intervals = list(pairwise(ticks.times))
    seen = [by_tick[before] for _, before in intervals]
    opened = [_opened(counters, node, after, before) for after, before in intervals]
    places = _places(opened, [each.counted for each in seen])
    listens = any(life.state is TcpState.LISTEN for life in lives)
    gaps = GapRule(ticks, counters)
    found: list[Unobserved] = []
    for (first, last), entries in groupby(places):
        count, after, before = sum(1 for _ in entries), intervals[first][0], intervals[last][1]
        fails = counters.rise(node, "AttemptFails", after, before)
        least, most = _established(count, fails, seen[first : last + 1], listens)
        states = gaps.states(node, after, before, TcpState.CLOSED, TcpState.CLOSED)
        if most == 0:
            states = frozenset({TcpState.SYN_SENT, TcpState.CLOSED})
        found.append(Unobserved(node, after, before, count, least, most, states))
    return found


def _tally(lives: list[Life], ticks: NodeTicks) -> defaultdict[float, _Seen]:
    """By the tick that ends the interval."""
    seen: defaultdict[float, _Seen] = defaultdict(_Seen)
    for life in lives:
        first, state = life.sightings[0]
        if state is TcpState.LISTEN:
            continue
        if state is TcpState.SYN_RECV:
            if len(life.sightings) > 1:
                seen[life.sightings[1][0]].counted += 1
            elif life.gone is not None:
                seen[life.gone].perhaps += 1
        elif ticks.before(first) is not None:
            seen[first].counted += 1
        if life.gone is not None and life.state in EMBRYONIC:
            seen[life.gone].failed += 1
    return seen


def _opened(counters: Counters, node: str, after: float, before: float) -> int:
    return sum(counters.rise(node, name, after, before) or 0 for name in ("ActiveOpens", "PassiveOpens"))


def _places(opened: Sequence[int], counted: Sequence[int]) -> Iterator[tuple[int, int]]:
    """For each unseen socket, the first and the last interval in which it may have lived."""
    difference = list(
        accumulate((up - down for up, down in zip(opened, counted, strict=True)), lambda a, b: max(0, a + b))
    )
    if not difference:
        return
    most = list(accumulate(reversed(difference), min))[::-1]
    in_flight = [min(up, following) for up, following in zip(opened, [*counted[1:], 0], strict=True)]
    least = list(accumulate((value - out for value, out in zip(difference, in_flight, strict=True)), max))
    first = last = 0
    for number in range(1, most[-1] + 1):
        while most[first] < number:
            first += 1
        # At the last tick the two bounds meet, so there is an end to this.
        while least[last] < number:
            last += 1
        yield first, max(first, last)


def _established(count: int, fails: int | None, seen: Sequence[_Seen], listens: bool) -> tuple[int, int]:
    """How many of `count` unseen sockets got ESTABLISHED, at least and at most.

    A failure is one of theirs for sure when nothing else can have failed there: no socket of the tables, and no
    handshake of a listening port, whose requests fail without ever being counted as opened.
    """
    if fails is None:
        return 0, count
    least = max(0, count - sum(each.perhaps for each in seen) - fails)
    most = count if listens or any(each.failed for each in seen) else max(least, count - fails)
    return least, most
