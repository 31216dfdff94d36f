"""What happened to one end of a connection, in order: what it sent, what it was offered, what samples saw of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.truth.model_lives import Life
from tests.truth.model_samples import TEXT_TAKES, Key, Samples
from tests.truth.model_states import Happening, Known, Machine
from tests.truth.model_wire import ACK, FIN, RST, SYN, Segment, after


@dataclass(frozen=True, slots=True)
class Links:
    """When nodes were surely off a network: (node, network or None for all, begin, end)."""

    down: tuple[tuple[str, str | None, float, float], ...] = ()

    @staticmethod
    def of(steps: Sequence[Mapping[str, Any]], moments: Mapping[str, float], slack: float) -> Links:
        found = []
        open_: dict[tuple[str, str | None], float] = {}
        for step in steps:
            link = step.get("link")
            if not link or "name" not in step:
                continue
            node, network = link["node"], link.get("network")
            if not link["up"]:
                if (begin := moments.get(f"{step['name']}.end")) is not None:
                    open_[node, network] = begin
                continue
            end = moments.get(f"{step['name']}.start")
            for key in [key for key in open_ if key[0] == node and network in (None, key[1])]:
                found.append((*key, open_.pop(key) + slack, (end if end is not None else float("inf")) - slack))
        found += [(*key, begin + slack, float("inf")) for key, begin in open_.items()]
        return Links(tuple(found))

    def lose(self, segment: Segment, receiver: str) -> bool:
        """Whether the segment surely did not arrive."""
        return any(
            node in (segment.sender, receiver) and network in (None, segment.network) and begin <= segment.t <= end
            for node, network, begin, end in self.down
        )


@dataclass(frozen=True, slots=True)
class End:
    """One end of a life, and the lives of the same addresses that came later."""

    key: Key
    life: Life
    later: Sequence[Life]
    is_client: bool
    skips_time_wait: bool


def follow_end(end: End, samples: Samples, links: Links, slack: float) -> Known:
    """The states that are possible for it, at each time of the run."""
    address = end.key[1]
    mine, peer = end.life.side(address), end.life.other(address)
    traffic = _traffic(end, links)
    happenings = _offered_late([*traffic, *_takeovers(end), *_seen(end, samples, slack)], slack)
    # A socket that was sampled after the last segment is as good a witness as the wire.
    machine = Machine(mine, peer, calls=end.is_client, skips_time_wait=end.skips_time_wait)
    return machine.follow(_thinned(happenings), samples.end)


def _traffic(end: End, links: Links) -> Iterator[Happening]:
    node, address, _ = end.key
    for segment in end.life.segments:
        if segment.source == address:
            if segment.sender == node:
                yield Happening(segment.t, "sent", segment)
        elif not links.lose(segment, node) and _matters(segment, end):
            yield Happening(segment.t, "offered", segment)


def _matters(segment: Segment, end: End) -> bool:
    """Whether its arrival may change a state: most of a large transfer cannot."""
    if segment.flags & (SYN | FIN | RST):
        return True
    mine, peer = end.life.side(end.key[1]), end.life.other(end.key[1])
    closed = mine.fin is not None and mine.fin_at is not None and mine.fin_at <= segment.t
    if closed and mine.fin is not None and (after(segment.ack, mine.fin) >= 1 or segment.size):
        return True
    if peer.fin_at is not None and peer.fin_at <= segment.t and segment.size:
        return True
    accepted = end.life.accepted
    return not end.is_client and segment.has(ACK) and (accepted is None or segment.t <= accepted)


def _takeovers(end: End) -> Iterator[Happening]:
    """A client's addresses are free when it uses them again; a server's when it answers the new SYN."""
    for life in end.later:
        if life.client.address == end.key[1]:
            yield Happening(life.began, "replaced")
            return
        for segment in life.segments:  # of the peer's new life, on the end's own addresses
            if segment.source == end.key[1] and segment.flags & (SYN | RST) == SYN:
                yield Happening(segment.t, "replaced")
                return
            if segment.source != end.key[1] and segment.flags & (SYN | ACK) == SYN:
                yield Happening(segment.t, "called")


_CLOCKS = 0.001
"""Seconds by which the clock of captures and that of ticks may differ within a run."""


def _bounds(end: End) -> tuple[float, float]:
    """From when to when what is seen on these addresses is surely this life's."""
    until = end.later[0].began if end.later else float("inf")
    if end.is_client:
        return end.life.began, until
    answers = (segment.t for segment in end.life.segments if segment.source == end.key[1])
    return next(answers, float("inf")), until


def _seen(end: End, samples: Samples, slack: float) -> Iterator[Happening]:
    """What ticks and texts show. Of a text only what nothing can have changed while ss ran."""
    begin, until = _bounds(end)
    took = dict(samples.ticks)
    lives = (end.life, *end.later)
    for stretch in samples.stretches:
        if stretch.key == end.key:
            for t in {stretch.first, stretch.last}:
                # A tick's time is that of its beginning; what came while it was taken may show or not, also the call
                # of the life that follows on these addresses.
                over = t + took.get(t, 0.0) + _CLOCKS
                meanwhile = any(t - _CLOCKS < s.t < over for life in lives for s in life.segments)
                if begin < t < until and not meanwhile:
                    yield Happening(t, "seen", states=frozenset({stretch.state}), source=f"(tick, sk {stretch.cookie})")
    for (moment, node), rows in samples.texts.items():
        t = samples.moments.get(moment, -1.0)
        if (
            node != end.key[0]
            or not begin < t < until
            or not rows
            or _busy(end, samples, t, samples.looked.get(moment, t + TEXT_TAKES), slack)
        ):
            continue
        states = {row.state for row in rows if (row.local, row.peer) == end.key[1:]}
        yield Happening(t, "seen", states=frozenset(states or {"CLOSED"}), source=f"(ss at {moment})")


def _busy(end: End, samples: Samples, t: float, until: float, slack: float) -> bool:
    low, high = t - slack, until + slack
    if any(low <= segment.t <= high for life in (end.life, *end.later) for segment in life.segments):
        return True
    changes = (t for s in samples.stretches if s.key == end.key for t in (s.first, s.last))
    return any(low < change <= high and change not in (t,) for change in changes)


def _offered_late(happenings: Sequence[Happening], slack: float) -> list[Happening]:
    """In order of time. What was offered a moment ago may arrive after what the end itself does a moment later."""
    ordered = sorted(happenings, key=lambda happening: happening.t)
    found: list[Happening] = []
    recent: list[Happening] = []
    for happening in ordered:
        found.append(happening)
        if happening.kind == "offered":
            recent.append(happening)
            continue
        recent = [h for h in recent if happening.t - h.t <= slack]
        found += [Happening(happening.t, "offered", h.segment) for h in recent[-12:]]
    return found


def _thinned(happenings: Sequence[Happening]) -> list[Happening]:
    """Without what lies inside of a row of segments that say the same."""
    found: list[Happening] = []
    for number, happening in enumerate(happenings):
        around = happenings[max(0, number - 1) : number + 2]
        if len(around) == 3 and all(_dull(h, happening) for h in around):
            continue
        found.append(happening)
    return found


def _dull(happening: Happening, like: Happening) -> bool:
    one, other = happening.segment, like.segment
    if happening.kind != "sent" or like.kind != "sent" or one is None or other is None:
        return False
    if (one.flags | other.flags) & (SYN | FIN | RST):
        return False
    return bool(one.size) == bool(other.size) and one.ack == other.ack
