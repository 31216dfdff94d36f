"""Sockets from what the kernel's trace shows of them, with what samples add: queues, owners, cookies, states that the
trace has no event for. And the trace is held against every sample (crossexamination.py).

A change takes no time, which the history writes as a gap of one nanosecond: the resolution of the trace clock.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from functools import cache

from orchestrator.history.crossexamination import contradictions, doubted
from orchestrator.history.model import Contradiction, MinisocketEnd, Socket, StateInterval, UnknownInterval
from orchestrator.history.nat import NO_NAT, Translations
from orchestrator.history.sampled import Life, NodeTicks
from orchestrator.history.timewait import Turn, turn_of
from orchestrator.history.tracedlife import TracedLife
from orchestrator.tcp.lifecycle import MINISOCKETS
from orchestrator.tcp.states import TcpState

INSTANT = 1e-9

_Pair = tuple[str, str]
_Entry = tuple[float, float, TcpState]
"""A state, which was entered in the closed interval of the two times."""


class Exact:
    """What trace and samples show together. `ticks`: node -> those that sampled it. `later`: node, local and peer
    address of sockets that were born after the time of the last tick, which may have seen them all the same.

    A tick's time is read before its tables are, so a socket may be dated up to `slack` seconds before its birth.
    """

    def __init__(
        self,
        traced: Sequence[TracedLife],
        sampled: Sequence[Life],
        ticks: Mapping[str, NodeTicks],
        slack: float,
        translations: Translations = NO_NAT,
        later: Container[tuple[str, str, str]] = (),
    ) -> None:
        self.sockets: list[Socket] = []
        self.contradictions: list[Contradiction] = []
        self.left: list[Life] = []
        """The sampled lives that no trace covers."""
        self._ticks, self._slack, self._translations = ticks, slack, translations
        self._until = max((of_node.times[-1] for of_node in ticks.values() if of_node.times), default=0.0)
        self._traced: dict[_Pair, list[TracedLife]] = defaultdict(list)
        for life in traced:
            self._traced[life.local, life.peer].append(life)
        _name_ports(traced, sampled, slack)
        seen_of = self._seen(traced, sampled)
        self.left = [life for life in self.left if not (_came_last(life, self._until) and _of(life) in later)]
        for number, life in enumerate(traced, 1):
            self._add(life, seen_of.get(id(life), []), f"t{number}")

    def _seen(self, traced: Sequence[TracedLife], sampled: Sequence[Life]) -> dict[int, list[Life]]:
        """Id of a traced life -> the sampled ones that are the same socket, each of one traced life only."""
        by_pair: dict[tuple[str, str, str], list[Life]] = defaultdict(list)
        for one in sampled:
            by_pair[one.node, one.local, one.peer].append(one)
        taken: dict[int, list[Life]] = {}
        known: set[int] = set()
        # A large run has many that no sample shows: they are passed over once, not five times.
        both = [
            (life, found) for life in traced if (found := by_pair.get((life.node, life.local, life.peer))) is not None
        ]
        for same in (_same_cookie, _same_state, _later_state, _within, _became):  # the surest first
            for life, found in both:
                for one in found:
                    if id(one) not in known and same(one, life, self._slack):
                        known.add(id(one))
                        taken.setdefault(id(life), []).append(one)
        for seen in taken.values():
            seen.sort(key=lambda one: one.sightings[0][0])
        self.left = [one for one in sampled if id(one) not in known]
        return taken

    def _add(self, life: TracedLife, seen: Sequence[Life], fallback: str) -> None:
        ticks = self._ticks[life.node]
        _settle_reset(life, seen, ticks, self._slack)
        translations = self._translations
        pair = translations.peer_pair(life.local, life.peer, life.up) if translations.any else (life.peer, life.local)
        peer = _overlapping(self._traced.get(pair, ()), life.born)
        turn = turn_of(life, peer, seen, ticks, self._slack) if life.mini is not None else None
        entries = _handshake(life, peer, seen, ticks)
        socket = _socket(life, seen, self._timeline(life, turn, entries), fallback)
        against = contradictions(socket, seen, ticks, self._slack)
        self.contradictions += against
        self.sockets.append(doubted(socket, against, ticks))

    def _timeline(
        self, life: TracedLife, turn: Turn | None, begun: Sequence[_Entry]
    ) -> tuple[list[StateInterval], list[UnknownInterval]]:
        entries = [*begun, *[(t, t, state) for t, state in life.changes[len(begun) :]]]
        end = self._until if life.ended is None else life.ended
        if turn is not None and turn.surely:
            entries.append((turn.after, max(turn.after, min(turn.before, end)), TcpState.TIME_WAIT))
        intervals, gaps = _filled(entries, end, ended=life.ended is not None)
        if turn is not None and not turn.surely and turn.after < end - INSTANT:
            _leave_open(intervals, gaps, turn, end, ended=life.ended is not None)
        return intervals, gaps


def _of(life: Life) -> tuple[str, str, str]:
    return life.node, life.local, life.peer


def _came_last(life: Life, last: float) -> bool:
    """Whether only the last tick saw it, and no request, which is older than the child whose birth the trace tells."""
    return life.sightings[0] == (last, life.state) and life.state is not TcpState.SYN_RECV


def _handshake(life: TracedLife, peer: TracedLife | None, seen: Sequence[Life], ticks: NodeTicks) -> list[_Entry]:
    """When the handshake of an accepted connection began: the trace knows SYN_RECV only as the instant in which the
    child is made. The request before that has a cookie, which the child inherits, and samples show it; between samples
    it cannot have come before its client called."""
    if life.changes[0][1] is not TcpState.SYN_RECV:
        return []
    waiting = [one.sightings[0][0] for one in seen if one.sightings[0][1] is TcpState.SYN_RECV]
    first = min([*waiting, life.born])
    before = ticks.before(first)
    called = peer.born if peer is not None and peer.born < first else None
    known = [t for t in (before, called) if t is not None]
    return [(max(known, default=first - INSTANT), first, TcpState.SYN_RECV)]


def _filled(entries: Sequence[_Entry], end: float, *, ended: bool) -> tuple[list[StateInterval], list[UnknownInterval]]:
    """Stays, and the gaps between them."""
    after, entered, state = entries[0]
    gaps = [UnknownInterval(min(after, entered - INSTANT), entered, _one_of(TcpState.CLOSED, state))]
    intervals: list[StateInterval] = []
    for after, before, following in entries:
        if following is state:
            continue
        left = after - INSTANT
        left = left if left > entered else entered
        intervals.append(StateInterval(state, entered, left))
        gaps.append(UnknownInterval(left, left if left > before else before, _one_of(state, following)))
        entered, state = before, following
    left = max(entered, end - INSTANT) if ended else end
    intervals.append(StateInterval(state, entered, left))
    if ended:
        gaps.append(UnknownInterval(left, max(end, left), _one_of(state, TcpState.CLOSED)))
    return intervals, gaps


@cache
def _one_of(*states: TcpState) -> frozenset[TcpState]:
    """Made once: a set takes four times the memory of the gap that bears it."""
    return frozenset(states)


def _leave_open(
    intervals: list[StateInterval], gaps: list[UnknownInterval], turn: Turn, end: float, *, ended: bool
) -> None:
    """The last stay is FIN_WAIT2 until the peer's FIN may have come, and from then on nobody knows."""
    waiting = intervals[-1]
    known = min(max(waiting.first, turn.after), waiting.last)
    intervals[-1] = StateInterval(waiting.state, waiting.first, known)
    if ended:
        gaps.pop()
    states = _one_of(waiting.state, TcpState.TIME_WAIT, *([TcpState.CLOSED] if ended else []))
    gaps.append(UnknownInterval(known, end if ended else math.inf, states))


def _overlapping(lives: Sequence[TracedLife], t: float) -> TracedLife | None:
    """The life of one address pair whose birth is nearest to `t`: both ends are born within a handshake."""
    return lives[0] if len(lives) == 1 else min(lives, key=lambda life: abs(life.born - t), default=None)


def _name_ports(traced: Sequence[TracedLife], sampled: Sequence[Life], slack: float) -> None:
    """Ports of sockets that are in SYN_SENT to the last: the kernel names a port with the change that follows."""
    named: dict[tuple[str, str, str], list[TracedLife]] = defaultdict(list)
    for life in traced:
        named[life.node, life.local, life.peer].append(life)
    calling = [one for one in sampled if one.sightings[0][1] is TcpState.SYN_SENT]
    for life in traced:
        if not life.local.endswith(":0"):
            continue
        for one in calling:
            if (one.node, one.peer) != (life.node, life.peer) or not _within(one, life, slack):
                continue
            pair = one.node, one.local, one.peer
            if not any(_may_be(one, other, slack) for other in named[pair]):  # a port may be used again
                life.local = one.local
                named[pair].append(life)
                break


def _may_be(sampled: Life, life: TracedLife, slack: float) -> bool:
    """Whether a sampled socket of the same pair can be this one: by its cookie, or by time where that is not known."""
    return sampled.sk == life.cookie if life.cookie else _within(sampled, life, slack)


def _settle_reset(life: TracedLife, seen: Sequence[Life], ticks: NodeTicks, slack: float) -> None:
    """Whether the RST that came for a minisocket killed it: yes, unless its timer or a sample shows it alive later."""
    if life.reset_at is None or life.ended_by is MinisocketEnd.EXPIRED:
        return
    shown = [ticks.times[-1] if one.gone is None else ticks.before(one.gone) for one in seen]
    if all(t is None or t <= life.reset_at + slack for t in shown):
        life.ended, life.ended_by = life.reset_at, MinisocketEnd.RESET


def _same_cookie(sampled: Life, life: TracedLife, slack: float) -> bool:
    return bool(life.cookie) and sampled.sk == life.cookie


def _same_state(sampled: Life, life: TracedLife, slack: float) -> bool:
    """Whether the traced socket was in the state of the first sighting when that was taken: one address pair may be
    several sockets within a tick."""
    first, state = sampled.sightings[0]
    if not _within(sampled, life, slack):
        return False
    return _was_in(life, state, first, slack)


def _later_state(sampled: Life, life: TracedLife, slack: float) -> bool:
    """The same of a later sighting, where the first one was of the request, long before the child was made
    (TCP_DEFER_ACCEPT, a SYN+ACK that got lost, no room in the accept queue)."""
    if sampled.sightings[0][1] is not TcpState.SYN_RECV or life.changes[0][1] is not TcpState.SYN_RECV:
        return False
    return any(_was_in(life, state, t, slack) for t, state in sampled.sightings[1:])


def _became(sampled: Life, life: TracedLife, slack: float) -> bool:
    """Whether a request of which samples saw nothing else is the one whose child is traced: it was gone when that had
    come to be."""
    if sampled.state is not TcpState.SYN_RECV or life.changes[0][1] is not TcpState.SYN_RECV:
        return False
    return sampled.sightings[0][0] <= life.born <= (math.inf if sampled.gone is None else sampled.gone + slack)


def _was_in(life: TracedLife, state: TcpState, t: float, slack: float) -> bool:
    if state in MINISOCKETS and life.mini is not None and life.mini <= t + slack:
        return life.ended is None or t <= life.ended
    lefts = [*(t for t, _ in life.changes[1:]), math.inf if life.ended is None else life.ended]
    held = zip(life.changes, lefts, strict=True)
    return any(entered <= t + slack and t <= left for (entered, one), left in held if one is state)


def _within(sampled: Life, life: TracedLife, slack: float) -> bool:
    """Whether a sampled socket of the same pair, of which no cookie is known, can be this one by its time."""
    first = sampled.sightings[0][0]
    return life.born - slack <= first and (life.ended is None or first <= life.ended)


def _socket(
    life: TracedLife,
    seen: Sequence[Life],
    timeline: tuple[list[StateInterval], list[UnknownInterval]],
    fallback: str,
) -> Socket:
    if not seen:
        sk, intervals, unknown = life.cookie or fallback, tuple(timeline[0]), tuple(timeline[1])
        return Socket(life.node, sk, life.local, life.peer, intervals, unknown, (), ended_by=life.ended_by)
    owner = next((one for one in seen if one.pid is not None), None)
    return Socket(
        node=life.node,
        sk=seen[0].sk,
        local=life.local,
        peer=life.peer,
        intervals=tuple(timeline[0]),
        unknown=tuple(timeline[1]),
        queues=tuple(reading for one in seen for reading in one.queues),
        uid=next((one.uid for one in seen if one.uid is not None), None),
        pid=owner.pid if owner else None,
        comm=owner.comm if owner else None,
        ended_by=life.ended_by,
        owned=tuple(reading for one in seen for reading in one.owned),
        traffic=tuple(reading for one in seen for reading in one.traffic),
        probes=tuple(reading for one in seen for reading in one.probes),
        untimed=seen[-1].untimed,
    )
