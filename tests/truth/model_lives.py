"""Connections as the wire shows them: one life of an address pair for each new SYN.

A pair of addresses is used again and again. What belongs to which life is told by sequence numbers alone: a RST with
the number that the old life expected is the old life's, whatever SYN came before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.truth.model_wire import ACK, FIN, RST, SYN, Segment, after

_WINDOW = 1 << 26
"""How far ahead of what was sent a sequence number may lie and still be the same life's."""


@dataclass(slots=True)
class Side:
    """What one end sent in one life; `isn` is None as long as it did not send a SYN."""

    address: str
    isn: int | None = None
    high: int = 0
    """The sequence number behind all that it sent."""
    acked: int | None = None
    """The last acknowledgement that it sent."""
    fin: int | None = None
    """The sequence number of its FIN."""
    fin_at: float | None = None
    repeated: list[float] = field(default_factory=list)
    """When it sent a whole frame again; a frame may be several segments, so there were at least as many."""
    perhaps_repeated: int = 0
    """SYN+ACKs after the first, which may answer a second SYN; and frames behind later ones, which nobody has seen
    before: late themselves, another CPU being quicker, or sent again, the first being lost on the way to the wire."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Numbers that later frames came before, each as first and behind the last."""

    def fills_gap(self, segment: Segment) -> bool:
        """Whether no byte of it was seen before. What is left of the gap stays one."""
        for number, (first, behind) in enumerate(self.gaps):
            if after(segment.seq, first) >= 0 and after(behind, segment.end) >= 0:
                self.gaps[number : number + 1] = [(first, segment.seq), (segment.end, behind)]
                return True
        return False


@dataclass(slots=True)
class Life:
    """One connection on one network, or one attempt at it."""

    network: str
    client: Side
    server: Side
    began: float
    segments: list[Segment] = field(default_factory=list)

    def side(self, address: str) -> Side:
        return self.client if address == self.client.address else self.server

    def other(self, address: str) -> Side:
        return self.server if address == self.client.address else self.client

    @property
    def isn(self) -> int:
        assert self.client.isn is not None
        return self.client.isn

    @property
    def established(self) -> float | None:
        """When the client's answer to the SYN+ACK shows that the client was established."""
        for segment in self.segments:
            if segment.source == self.client.address and segment.has(ACK) and not segment.flags & (SYN | RST):
                return segment.t
        return None

    @property
    def accepted(self) -> float | None:
        """When the server first sent what only an established socket sends: data, a FIN, an ACK of data."""
        for segment in self.segments:
            if segment.source != self.server.address or segment.flags & (SYN | RST):
                continue
            if segment.size or segment.has(FIN) or after(segment.ack, self.isn) > 1:
                return segment.t
        return None

    @property
    def closing(self) -> Segment | None:
        """The first FIN or RST of either end."""
        return next((segment for segment in self.segments if segment.closing), None)

    def owns(self, segment: Segment) -> bool:
        """Whether the numbers of a segment without SYN fit this life."""
        sender, receiver = self.side(segment.source), self.other(segment.source)
        if segment.has(RST):
            return self._owns_reset(segment, sender, receiver)
        if sender.isn is None:
            return receiver.isn is not None and segment.has(ACK) and _near(segment.ack, receiver)
        return _near(segment.seq, sender)

    def _owns_reset(self, segment: Segment, sender: Side, receiver: Side) -> bool:
        """A RST has the number that its receiver expects, or, to a SYN that nobody wanted, acknowledges that."""
        if receiver.acked is not None and segment.seq == receiver.acked:
            return True
        if segment.has(ACK) and receiver.isn is not None and 0 < after(segment.ack, receiver.isn) <= _span(receiver):
            return sender.isn is None or segment.seq == 0 or _near(segment.seq, sender)
        return sender.isn is not None and 0 <= after(segment.seq, sender.isn) <= _span(sender)

    def take(self, segment: Segment) -> None:
        sender = self.side(segment.source)
        if segment.has(RST):
            self.segments.append(segment)
            return
        if sender.isn is None:
            sender.isn = segment.seq if segment.has(SYN) else (segment.seq - 1) & 0xFFFFFFFF
            sender.high = (sender.isn + 1) & 0xFFFFFFFF if not segment.has(SYN) else sender.isn
        sends = segment.size > 0 or segment.flags & (SYN | FIN)
        probe = segment.size <= 1 and not segment.flags & (SYN | FIN) and segment.seq == (sender.high - 1) & 0xFFFFFFFF
        if sends and not probe and after(segment.end, sender.high) <= 0:
            if segment.flags & (SYN | ACK) == SYN | ACK or sender.fills_gap(segment):
                sender.perhaps_repeated += 1
            else:
                sender.repeated.append(segment.t)
        if after(segment.end, sender.high) > 0:
            if after(segment.seq, sender.high) > 0:
                sender.gaps.append((sender.high, segment.seq))
            sender.high = segment.end
        if segment.has(FIN) and sender.fin is None:
            sender.fin, sender.fin_at = (segment.end - 1) & 0xFFFFFFFF, segment.t
        if segment.has(ACK):
            sender.acked = segment.ack
        self.segments.append(segment)


def _span(side: Side) -> int:
    assert side.isn is not None
    return after(side.high, side.isn) + 1


def _near(number: int, side: Side) -> bool:
    assert side.isn is not None
    return -1 <= after(number, side.isn) <= _span(side) + _WINDOW


def lives_of(segments: Iterable[Segment]) -> tuple[list[Life], list[Segment]]:
    """The lives on one network in order of their first SYN, and the segments that belong to none."""
    by_pair: dict[frozenset[str], list[Life]] = defaultdict(list)
    stray: list[Segment] = []
    for segment in segments:
        known = by_pair[segment.pair]
        if segment.has(SYN) and not segment.has(ACK):
            same = [life for life in known if life.client.address == segment.source and life.isn == segment.seq]
            if not same:
                known.append(Life(segment.network, Side(segment.source), Side(segment.target), segment.t))
            (same or known)[-1].take(segment)
            continue
        life = _life_of(segment, known)
        if life is None:
            stray.append(segment)
        else:
            life.take(segment)
    return sorted((life for found in by_pair.values() for life in found), key=lambda life: life.began), stray


def _life_of(segment: Segment, known: Sequence[Life]) -> Life | None:
    if segment.has(SYN):  # with ACK: it says whose SYN it answers
        answered = [life for life in known if life.isn == (segment.ack - 1) & 0xFFFFFFFF]
        return answered[-1] if answered else None
    fitting = [life for life in reversed(known) if life.owns(segment)]
    if segment.has(RST):
        # The number that the receiver last told to expect is the strongest sign.
        exact = [life for life in fitting if life.other(segment.source).acked == segment.seq]
        fitting = exact or fitting
    return fitting[0] if fitting else None
