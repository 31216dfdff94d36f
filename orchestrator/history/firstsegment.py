"""Which FIN or RST of a connection entered the network first, and from where: part of what closing.py decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from orchestrator.history.model import SIDES, Connection, Side
from orchestrator.history.segments import FILTER, ICMP, MARGIN, Segment, Wire, WireLife

SENT_AFTER = 3.5
"""Seconds that a SYN may leave after its call: until a neighbour answers, or is given up (three probes)."""

_HANDSHAKE = 130.0
"""Seconds that a handshake may take at most: net.ipv4.tcp_syn_retries is 6, after 1, 2, 4, ... seconds."""

_ROUND = 1 << 32

_PASSED_ON = 1.0
"""Seconds that a NAT may take to pass a segment on."""


class Sent(NamedTuple):
    """A FIN or RST of one end. Its node is the end's, or another that answered in its name."""

    side: Side
    segment: Segment

    @property
    def is_rst(self) -> bool:
        return "R" in self.segment.flags


class Ends(NamedTuple):
    """What the ends of one connection sent, each FIN once, in order of time."""

    sent: tuple[Sent, ...]
    slow: float = 0.0
    """Seconds that a segment may have been delayed on its way."""
    told: tuple[float, ...] = ()
    """When ICMP messages about its packets were sent."""
    begun: tuple[int | None, int | None] = (None, None)
    """The initial sequence numbers of client and server."""

    @property
    def first(self) -> Sent | None:
        return self.sent[0] if self.sent else None

    def fin(self, side: Side) -> Segment | None:
        """The first FIN of a side."""
        for one in self.sent:
            if one.side is side and not one.is_rst:
                return one.segment
        return None

    @property
    def fins(self) -> dict[Side, float]:
        """When the first FIN of each side left."""
        return {side: fin.t for side in SIDES if (fin := self.fin(side)) is not None}

    @property
    def carried(self) -> dict[Side, int]:
        """How many bytes of data each side that sent a FIN had sent before it, modulo 2**32."""
        return {
            side: (fin.after_fin - number - 2) % _ROUND
            for side, number in zip(SIDES, self.begun, strict=True)
            if number is not None and (fin := self.fin(side)) is not None
        }


def of_connection(connection: Connection, wire: Wire) -> Ends | None:
    """What is on the wire of a connection; None where nothing of it is: no segments were recorded, or it is older."""
    near = _life(connection, wire)
    if near is None:
        return None
    far = near
    if connection.via:
        there = connection.server_pair[::-1]
        known = wire.with_number(there, near.syn.seq)
        far = known if known is not None else WireLife(there, near.syn)
    sent = sorted(_sent(connection, near, far), key=lambda one: one.segment.t)
    told = sorted(segment.t for segment in (*near.forth, *near.back) if segment.flags == ICMP)
    return Ends(tuple(_once(sent)), wire.slow, tuple(told), (near.syn.seq, far.answer))


def _life(connection: Connection, wire: Wire) -> WireLife | None:
    """By when its client called, or, where only the server's end is known, by when that came to be."""
    after, before = connection.opened
    if connection.client is None:
        found = wire.last(connection.client_pair, before + MARGIN)
        return found if found is not None and found.syn.t >= after - _HANDSHAKE else None
    found = wire.of_call(connection.client_pair, after, before)
    return found if found is not None and found.syn.t <= before + SENT_AFTER else None


def _sent(connection: Connection, near: WireLife, far: WireLife) -> Iterator[Sent]:
    """The FINs and RSTs, by the end that sent them; and those that another node sent in the name of one, and did not
    pass on: a NAT, or a node to which the end's address has moved."""
    for segment in _closing(near.forth):
        if segment.node == connection.client_node:
            yield Sent(Side.CLIENT, segment)
    for segment in _closing(far.back):
        if segment.node == connection.server_node:
            yield Sent(Side.SERVER, segment)
    for life in (near,) if far is near else (near, far):  # simctl's own rules answer where a packet has entered
        yield from (Sent(Side.CLIENT, segment) for segment in _closing(life.forth) if segment.node == FILTER)
        yield from (Sent(Side.SERVER, segment) for segment in _closing(life.back) if segment.node == FILTER)
    by_server = [segment for segment in _closing(far.back) if segment.node == connection.server_node]
    by_client = [segment for segment in _closing(near.forth) if segment.node == connection.client_node]
    for segment in _closing(near.back):
        if segment.node != FILTER and not _passed_on(segment, by_server):
            yield Sent(Side.SERVER, segment)
    for segment in _closing(far.forth):
        if segment.node != FILTER and not _passed_on(segment, by_client):
            yield Sent(Side.CLIENT, segment)


def _closing(segments: Iterable[Segment]) -> Iterator[Segment]:
    return (segment for segment in segments if "F" in segment.flags or "R" in segment.flags)


def _passed_on(segment: Segment, before: Iterable[Segment]) -> bool:
    """Whether another node had sent the same segment just before."""
    return any(
        one.seq == segment.seq and one.flags == segment.flags and -MARGIN <= segment.t - one.t <= _PASSED_ON
        for one in before
    )


def _once(sent: Iterable[Sent]) -> Iterator[Sent]:
    """Without FINs that were sent again."""
    fins: set[tuple[Side, int]] = set()
    for one in sent:
        number = (one.side, one.segment.after_fin)
        if one.is_rst:
            yield one
        elif number not in fins:
            fins.add(number)
            yield one
