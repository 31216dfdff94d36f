"""Sockets that no tick saw, told from the kernel's counters of opened connections.

ActiveOpens rises when a SYN is sent (a socket enters SYN_SENT), PassiveOpens when a handshake is finished on the
listening side (a socket that a table may have shown in SYN_RECV before). So, in the interval between two ticks,

    opened (rise of both counters) - sockets of the tables that were counted there = sockets that lived unseen,

where a socket is counted in the interval of its first sighting, one first seen in SYN_RECV in the interval in which it
left that state, and one that went from SYN_RECV straight out of the tables perhaps there and perhaps never.

The difference can be negative. A node's table is read before its counters, so a socket born between the two
readings is counted one tick before it is seen: +1, then -1. A negative difference is therefore settled with the
interval before, then (for samplers that read in the other order) with the one after. What is left is dropped: it
is a socket that the kernel does not count, such as one restored by TCP_REPAIR.

AttemptFails rises when a socket goes from SYN_SENT or SYN_RECV to CLOSED by a RST. Connection attempts that were
refused are unseen sockets too, and are no connections.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from orchestrator.recording.counters import Counters
from orchestrator.recording.history import Unseen
from orchestrator.recording.lifecycle import EMBRYONIC
from orchestrator.recording.sockets import GapRule, Life, NodeTicks
from orchestrator.scenario.facts import TcpState


@dataclass(slots=True)
class _Seen:
    """What the tables show of one interval. `failed` counts sockets last seen in the handshake."""

    counted: int = 0
    perhaps: int = 0
    failed: int = 0


def count_unseen(node: str, lives: list[Life], ticks: NodeTicks, counters: Counters) -> list[Unseen]:
    """The unseen sockets of one node, by interval between two of its ticks."""
    seen = _tally(lives, ticks)
    intervals = list(zip(ticks.times, ticks.times[1:], strict=False))
    excess = [_opened(counters, node, after, before) - seen[before].counted for after, before in intervals]
    _settle(excess)
    gaps = GapRule(ticks, counters)
    listens = any(life.state is TcpState.LISTEN for life in lives)
    found: list[Unseen] = []
    for (after, before), count in zip(intervals, excess, strict=True):
        if count > 0:
            fails = counters.rise(node, "AttemptFails", after, before)
            least, most = _established(count, fails, seen[before], listens)
            states = gaps.states(node, after, before, TcpState.CLOSED, TcpState.CLOSED)
            if most == 0:
                states = frozenset({TcpState.SYN_SENT, TcpState.CLOSED})
            found.append(Unseen(node, after, before, count, least, most, states))
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


def _settle(excess: list[int]) -> None:
    """Cancel each negative entry with its neighbours, the earlier one first; drop what is left of it."""
    for position, value in enumerate(excess):
        for other in (position - 1, position + 1):
            if value < 0 and 0 <= other < len(excess) and excess[other] > 0:
                settled = min(-value, excess[other])
                excess[other] -= settled
                value += settled
        excess[position] = max(0, value)


def _established(count: int, fails: int | None, seen: _Seen, listens: bool) -> tuple[int, int]:
    """How many of `count` unseen sockets got ESTABLISHED, at least and at most.

    A failure is one of theirs for sure when nothing else can have failed there: no socket of the tables, and no
    handshake of a listening port, whose requests fail without ever being counted as opened.
    """
    if fails is None:
        return 0, count
    least = max(0, count - seen.perhaps - fails)
    most = count if listens or seen.failed else max(least, count - fails)
    return least, most
