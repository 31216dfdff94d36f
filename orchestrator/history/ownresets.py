"""Which RSTs are of which connection, when its addresses were another's before, or are again.

By time alone that cannot be told: a client that calls from the port of a half-open connection gets a challenge ACK, and
answers with a RST that ends the old one, while the new one is being made (RFC 9293, 3.5.1). The numbers in the segment
tell whose it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.history.firstsegment import Ends
from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import Connection
from orchestrator.history.segments import Segment
from orchestrator.recording.events import Event

ByPair = Mapping[frozenset[str], Sequence[Event]]
"""The two addresses of a RST, in any order -> those that the trace shows."""

ONE_RST = 0.005
"""Seconds between a RST in the trace and on the wire, or between a RST and the end that it brings."""

_UNDER_WAY = 0.25
"""Seconds that a RST may take, and so how long it may come after both ends are gone."""


def by_pairs(resets: Iterable[Event]) -> ByPair:
    found: dict[frozenset[str], list[Event]] = defaultdict(list)
    for reset in resets:
        found[frozenset((reset["local"], reset["peer"]))].append(reset)
    return found


def own_resets(
    connections: Sequence[Connection], by_pair: ByPair, on_wire: Sequence[Ends | None]
) -> list[tuple[Event, ...]]:
    """For each connection its RSTs, in order of time: those to and from its addresses while it lived, without those
    whose numbers are another connection's. `on_wire`: what is on the wire of each connection."""
    near = [_near(connection, by_pair) for connection in connections]
    owners: dict[int, set[int]] = defaultdict(set)
    for number, (ends, resets) in enumerate(zip(on_wire, near, strict=True)):
        for one in ends.sent if ends is not None else ():
            event = nearest(one.segment, resets) if one.is_rst else None
            if event is not None:
                owners[id(event)].add(number)
    return [
        tuple(event for event in resets if number in owners.get(id(event), (number,)))
        for number, resets in enumerate(near)
    ]


def nearest(segment: Segment, resets: Sequence[Event]) -> Event | None:
    """The trace's event of a RST that was seen on the wire."""
    found = [
        reset for reset in resets if reset["node"] == segment.node and abs(float(reset["t"]) - segment.t) <= ONE_RST
    ]
    return min(found, key=lambda reset: abs(float(reset["t"]) - segment.t), default=None)


def of_pairs(connection: Connection, by_pair: ByPair) -> list[Event]:
    """Those between its addresses, as either end has them: through a NAT each has a pair of its own."""
    pairs = {frozenset(connection.client_pair), frozenset(connection.server_pair)}
    return [reset for pair in pairs for reset in by_pair.get(pair, ())]


def _near(connection: Connection, by_pair: ByPair) -> list[Event]:
    resets = of_pairs(connection, by_pair)
    if not resets:
        return []
    begun = min(end.intervals[0].first if birth(end)[0] == -math.inf else birth(end)[0] for end in connection.ends)
    ended = max(map(death, connection.ends)) + _UNDER_WAY
    return sorted(
        (reset for reset in resets if begun <= float(reset["t"]) <= ended), key=lambda reset: float(reset["t"])
    )
