"""Sockets from the kernel's own account: every change of state with its time.

The trace has no event for three things, and each is found another way:
- TIME_WAIT. A minisocket's timer starts, and its full socket reports CLOSED (`born`). It is in TIME_WAIT when the
  peer's FIN had come, else an orphan in FIN_WAIT2, which turns when the peer's FIN comes: between the peer's LAST_ACK
  and its CLOSED.
- The early end of a minisocket: by a new socket on the same address pair, or by a RST that the peer sent. The latter
  is not sure (`tcp_rfc1337`): the timer that expires later, or a later sample, shows that it lived on.
- What was there before tracing began, and listening sockets: as the samples show them.

Samples stay the source of queues, owners and cookies. A change takes no time, which the history writes as a gap of one
nanosecond: the resolution of the trace clock.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.history.model import MinisocketEnd, Socket, StateInterval, UnknownInterval
from orchestrator.history.nat import NO_NAT, Translations
from orchestrator.history.sampled import Life, NodeTicks
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import BIRTHS, EMBRYONIC
from orchestrator.tcp.states import TcpState

INSTANT = 1e-9


@dataclass(slots=True)
class TracedLife:
    """One socket: (time, state it entered), oldest first; `turned` is when a FIN_WAIT2 minisocket became TIME_WAIT."""

    node: str
    local: str
    peer: str
    changes: list[tuple[float, TcpState]] = field(default_factory=list)
    turned: tuple[float, float] | None = None
    ended: float | None = None
    ended_by: MinisocketEnd | None = None
    reset_at: float | None = None
    """When a RST came for its minisocket, which may have survived it."""
    cookie: str = ""

    @property
    def born(self) -> float:
        return self.changes[0][0]

    @property
    def up(self) -> float:
        """When its handshake was over, or it was."""
        return next((t for t, state in self.changes if state not in EMBRYONIC), self.over)

    @property
    def state(self) -> TcpState:
        return self.changes[-1][1]

    @property
    def over(self) -> float:
        """When it ended, inf when it did not: for a minisocket the RST that came for it, unless its timer expired."""
        if self.reset_at is not None and self.ended_by is not MinisocketEnd.EXPIRED:
            return self.reset_at
        return math.inf if self.ended is None else self.ended

    def entered(self, state: TcpState) -> float | None:
        """When it entered a state, None when it never did."""
        return next((t for t, entered in self.changes if entered is state), None)


def trace_lives(events: Iterable[Event], until: float, translations: Translations = NO_NAT) -> list[TracedLife]:
    """The lives that the trace shows, in order of birth; what happened after `until` is left out."""
    gathered = _Gathering(translations)
    for event in events:
        if float(event["t"]) <= until:
            gathered.take(event)
    gathered.turn_minisockets()
    return gathered.lives


class _Gathering:
    """Follows sockets by `a`, and minisockets by their address pair."""

    def __init__(self, translations: Translations) -> None:
        self._translations = translations
        self.lives: list[TracedLife] = []
        self._current: dict[int, TracedLife] = {}
        self._last: dict[int, TracedLife] = {}
        self._minis: dict[tuple[str, str], TracedLife] = {}

    def take(self, event: Event) -> None:
        match event["ev"]:
            case "state":
                self._state(event)
            case "minisocket":
                self._minisocket(event)
            case "destroy":
                life = self._last.pop(event["a"], None) or self._current.get(event["a"])
                if life is not None and life.local == event["local"]:
                    life.cookie = event["sk"]
            case "retransmit":
                life = self._current.get(event["a"])
                if life is not None and life.local.endswith(":0"):
                    life.local = event["local"]
            case "rst":
                # A segment that met an orphan in FIN_WAIT2: the RST is the last that it did.
                self._end_mini((event["local"], event["peer"]), float(event["t"]), MinisocketEnd.RESET)
                life = self._minis.get(self._translations.peer_pair(event["local"], event["peer"], float(event["t"])))
                if life is not None and life.reset_at is None:
                    life.reset_at = float(event["t"])

    def _state(self, event: Event) -> None:
        a, t, new = event["a"], float(event["t"]), TcpState(event["new"])
        if (event["old"], new) in BIRTHS:
            life = TracedLife(event["node"], event["local"], event["peer"])
            self.lives.append(life)
            self._current[a] = life
        known = self._current.get(a)
        if known is None:  # it was there before tracing began: the samples show what it did
            return
        if known.local != event["local"] and not event["local"].endswith(":0"):
            known.local = event["local"]
        if new is TcpState.CLOSED:
            self._close(a, known, t)
            return
        if known.changes and new is known.state:  # close() after shutdown() enters FIN_WAIT1 once more
            return
        known.changes.append((t, new))
        if len(known.changes) <= 2:
            # A SYN_SENT has no port yet: which pair is taken over shows with the next change.
            self._end_mini((known.local, known.peer), known.born, MinisocketEnd.REUSED)

    def _close(self, a: int, life: TracedLife, t: float) -> None:
        del self._current[a]
        self._last[a] = life
        key = (life.local, life.peer)
        if self._minis.get(key) is not life:
            life.ended = t

    def _minisocket(self, event: Event) -> None:
        t, key = float(event["t"]), (event["local"], event["peer"])
        if event["what"] == "born":
            life = self._current.get(event["a"])
            if life is not None:
                self._minis[key] = life
                if event["old"] == TcpState.CLOSING:
                    life.changes.append((t, TcpState.TIME_WAIT))
                else:
                    life.turned = (t, t)  # for now: turn_minisockets() looks at the peer
        elif event["what"] == "expired":
            self._end_mini(key, t, MinisocketEnd.EXPIRED)

    def _end_mini(self, key: tuple[str, str], t: float, by: MinisocketEnd) -> None:
        life = self._minis.pop(key, None)
        if life is not None:
            life.ended, life.ended_by = t, by

    def turn_minisockets(self) -> None:
        """From FIN_WAIT2 to TIME_WAIT: when the peer's FIN came. It had come if the peer is in LAST_ACK already."""
        by_pair: dict[tuple[str, str], list[TracedLife]] = defaultdict(list)
        for life in self.lives:
            by_pair[life.local, life.peer].append(life)
        for life in self.lives:
            if life.turned is None:
                continue
            peer = _overlapping(by_pair[self._translations.peer_pair(life.local, life.peer, life.up)], life.born)
            life.turned = _turned(life, life.turned[0], peer) if peer is not None else None
            if life.turned is not None:
                life.changes.append((life.turned[1], TcpState.TIME_WAIT))


def _turned(life: TracedLife, born: float, peer: TracedLife) -> tuple[float, float] | None:
    """When the peer's FIN reached the minisocket: between its sending and its acknowledgement. None when it did not."""
    fin = peer.entered(TcpState.LAST_ACK)
    if fin is not None:
        if fin > life.over:
            return None
        acknowledged = peer.ended if peer.ended is not None else fin
        return (born, born) if fin <= born else (fin, max(fin, acknowledged))
    # Both closed, and this end's FIN came first: the peer left CLOSING when its own FIN was acknowledged.
    closing, left = peer.entered(TcpState.CLOSING), peer.entered(TcpState.TIME_WAIT)
    return None if closing is None or left is None or left < born else (max(born, closing), left)


def _overlapping(lives: Sequence[TracedLife], t: float) -> TracedLife | None:
    """The life of one address pair whose birth is nearest to `t`: both ends are born within a handshake."""
    return min(lives, key=lambda life: abs(life.born - t), default=None)


def exact_sockets(
    traced: Sequence[TracedLife], sampled: Sequence[Life], ticks: Mapping[str, NodeTicks], slack: float
) -> tuple[list[Socket], list[Life]]:
    """Sockets of all traced lives, and the sampled lives that no trace covers. `ticks`: node -> those that sampled it.

    A tick's time is read before its tables are, so a socket may be dated up to `slack` seconds before its birth.
    """
    by_pair: dict[tuple[str, str, str], list[Life]] = defaultdict(list)
    for one in sampled:
        by_pair[one.node, one.local, one.peer].append(one)
    _name_ports(traced, sampled, slack)
    taken: set[int] = set()
    sockets: list[Socket] = []
    until = max((of_node.times[-1] for of_node in ticks.values() if of_node.times), default=0.0)
    for number, life in enumerate(traced, 1):
        if life.local.endswith(":0") and life.ended is not None:
            continue  # no port was left (EADDRNOTAVAIL): nothing was sent, so there was no connection
        seen = [one for one in by_pair[life.node, life.local, life.peer] if _within(one, life, slack)]
        taken.update(map(id, seen))
        _settle_reset(life, seen, ticks[life.node], slack)
        sockets.append(_socket(life, seen, until, f"t{number}"))
    return sockets, [one for one in sampled if id(one) not in taken]


def _name_ports(traced: Sequence[TracedLife], sampled: Sequence[Life], slack: float) -> None:
    """Ports of sockets that are in SYN_SENT to the last: the kernel names a port with the change that follows."""
    named = {(life.node, life.local, life.peer) for life in traced}
    calling = [one for one in sampled if one.sightings[0][1] is TcpState.SYN_SENT]
    for life in traced:
        if not life.local.endswith(":0"):
            continue
        of_peer = [one for one in calling if (one.node, one.peer) == (life.node, life.peer)]
        for one in of_peer:
            if (one.node, one.local, one.peer) not in named and _within(one, life, slack):
                life.local = one.local
                named.add((one.node, one.local, one.peer))
                break


def _settle_reset(life: TracedLife, seen: Sequence[Life], ticks: NodeTicks, slack: float) -> None:
    """Whether the RST that came for a minisocket killed it: yes, unless its timer or a sample shows it alive later."""
    if life.reset_at is None or life.ended_by is MinisocketEnd.EXPIRED:
        return
    shown = [ticks.times[-1] if one.gone is None else ticks.before(one.gone) for one in seen]
    if all(t is None or t <= life.reset_at + slack for t in shown):
        life.ended, life.ended_by = life.reset_at, MinisocketEnd.RESET


def _within(sampled: Life, life: TracedLife, slack: float) -> bool:
    """Whether a sampled socket of the same pair is this one."""
    if life.cookie and sampled.sk == life.cookie:
        return True
    first = sampled.sightings[0][0]
    return life.born - slack <= first and (life.ended is None or first <= life.ended)


def _socket(life: TracedLife, seen: Sequence[Life], until: float, fallback: str) -> Socket:
    intervals: list[StateInterval] = []
    gaps = [UnknownInterval(life.born - INSTANT, life.born, frozenset({TcpState.CLOSED, life.changes[0][1]}))]
    end = until if life.ended is None else life.ended
    for position, (entered, state) in enumerate(life.changes):
        last = position + 1 == len(life.changes)
        left = end if last else life.changes[position + 1][0]
        begun = left - INSTANT
        if not last and life.turned is not None and life.changes[position + 1][0] == life.turned[1]:
            begun = min(begun, life.turned[0] - INSTANT)
        stay_end = left if last and life.ended is None else max(entered, begun)
        intervals.append(StateInterval(state, entered, stay_end))
        if not last or life.ended is not None:
            following = TcpState.CLOSED if last else life.changes[position + 1][1]
            gaps.append(UnknownInterval(stay_end, max(left, stay_end), frozenset({state, following})))
    owner = next((one for one in seen if one.pid is not None), None)
    return Socket(
        node=life.node,
        sk=seen[0].sk if seen else life.cookie or fallback,
        local=life.local,
        peer=life.peer,
        intervals=tuple(intervals),
        unknown=tuple(gaps),
        queues=tuple(reading for one in seen for reading in one.queues),
        uid=next((one.uid for one in seen if one.uid is not None), None),
        pid=owner.pid if owner else None,
        comm=owner.comm if owner else None,
        ended_by=life.ended_by,
        owned=tuple(reading for one in seen for reading in one.owned),
    )
