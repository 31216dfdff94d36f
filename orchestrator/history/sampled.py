"""From socket lines to sockets with their stays and gaps.

Two ticks that show a socket in one state leave no doubt about the time between: no socket returns to a state that it
has left. Two ticks that show different states leave a gap, in which it was in any of the states on a path from the
one to the other.

TIME_WAIT is on many paths that it was not on in fact, and 60 s is a long time, so a second rule takes it out of gaps
that it neither begins nor ends. A TIME_WAIT that lies wholly inside a gap shorter than 60 s was made there and was cut
short there. It can only have been made when the kernel armed a minisocket (the counters TW or TWKilled rose; the
latter counts short timers, not early deaths), or when the gap starts in FIN_WAIT2, which may be a minisocket already.
And it can only have been cut short by a RST (some node's OutRsts rose, shortly before at the earliest, since a RST
may be under way for a while) or by a new connection that took its address pair (ActiveOpens or PassiveOpens rose). No
counter shows an early death itself.

In the same way a socket is born through SYN_SENT only when its node sent a SYN: when ActiveOpens rose.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.history.counters import Counters
from orchestrator.history.model import Socket, StateInterval, UnknownInterval
from orchestrator.history.readings import QueueReading, TrafficReading
from orchestrator.recording.events import TCPEXT_EVERY, Event
from orchestrator.tcp.lifecycle import MINISOCKETS, TIME_WAIT_SECONDS, between, later
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_STATES = {state.value: state for state in TcpState}

_RST_UNDER_WAY = 1.0
"""Seconds that a RST may take from node to node: far more than a lab's links delay."""


class NodeTicks:
    """The ticks that sampled one node. Making one costs nothing, however many ticks there are."""

    def __init__(self, ticks: Sequence[float], missed: Sequence[float] = ()) -> None:
        self._ticks = ticks
        self._missed = frozenset(missed)

    @cached_property
    def times(self) -> tuple[float, ...]:
        return tuple(t for t in self._ticks if t not in self._missed) if self._missed else tuple(self._ticks)

    def before(self, t: float) -> float | None:
        """The last tick before `t`."""
        for position in range(bisect_left(self._ticks, t) - 1, -1, -1):
            if self._ticks[position] not in self._missed:
                return self._ticks[position]
        return None

    def from_(self, t: float) -> float | None:
        """The first tick at or after `t`."""
        for position in range(bisect_left(self._ticks, t), len(self._ticks)):
            if self._ticks[position] not in self._missed:
                return self._ticks[position]
        return None


@dataclass(slots=True)
class Life:
    """What the lines say of one socket: each state with the tick that first showed it, and when it was gone."""

    node: str
    sk: str
    local: str
    peer: str
    sightings: list[tuple[float, TcpState]] = field(default_factory=list)
    queues: list[QueueReading] = field(default_factory=list)
    gone: float | None = None
    uid: int | None = None
    pid: int | None = None
    comm: str | None = None
    owned: list[tuple[float, bool]] = field(default_factory=list)
    traffic: list[TrafficReading] = field(default_factory=list)
    probes: list[tuple[float, int | None]] = field(default_factory=list)
    untimed: float | None = None

    @property
    def state(self) -> TcpState:
        return self.sightings[-1][1]

    def see(self, line: Event) -> None:
        t, state = float(line["t"]), _STATES[line["state"]]
        if not self.sightings or self.state is not state:
            self.sightings.append((t, state))
        reading = QueueReading(t, line["recv_q"], line["send_q"])
        last = self.queues[-1] if self.queues else None
        if last is None or (last.recv_q, last.send_q) != (reading.recv_q, reading.send_q):
            self.queues.append(reading)
        if line.get("received") is not None:
            self._see_traffic(t, line)
        if line.get("timer") == "keepalive" or self.probes:
            waiting = line.get("probes") if line.get("timer") == "keepalive" else 0
            if waiting != (self.probes[-1][1] if self.probes else 0):
                self.probes.append((t, waiting))
        # An inode is there as long as a descriptor is. Each state's first reading is kept: a later one may differ.
        if not self.owned or self.owned[-1][1] != bool(line.get("inode")) or self.sightings[-1][0] == t:
            self.owned.append((t, bool(line.get("inode"))))
        if state is TcpState.FIN_WAIT2:
            self.untimed = t if line.get("inode") and not line.get("timer") else None
        # A minisocket has no owner: what was known of it before stays true.
        self.uid = line["uid"] if line.get("uid") is not None else self.uid
        if line.get("pid") is not None:
            self.pid, self.comm = line["pid"], line.get("comm")

    def _see_traffic(self, t: float, line: Event) -> None:
        received, acked, sent, unsent = (int(line.get(name) or 0) for name in ("received", "acked", "sent", "unsent"))
        times = line.get("sent_at"), line.get("received_at")
        reading = TrafficReading(t, received, acked, sent, unsent, *times, resent=line.get("resent") or 0)
        if not self.traffic or self.traffic[-1].counts != reading.counts:
            self.traffic.append(reading)


def gather_lives(lines: Iterable[Event]) -> list[Life]:
    """The sockets of one node, in the order of their first sighting; a minisocket may be one of its own (`rejoined`).

    One `sk` is several lives when a program connects once more with the same descriptor: the cookie stays, the address
    pair changes, or the socket was gone meanwhile, or its state goes back.
    """
    lives: list[Life] = []
    current: dict[str, Life] = {}
    for line in sorted(lines, key=lambda line: float(line["t"])):
        sk, t = line["sk"], float(line["t"])
        life = current.get(sk)
        if line["state"] == TcpState.CLOSED:
            if life is not None:
                life.gone = t
                del current[sk]
            continue
        if life is not None and not _continues(life, line):
            life.gone = t
            life = None
        if life is None:
            life = current[sk] = Life(line["node"], sk, line["local"], line["peer"])
            lives.append(life)
        life.see(line)
    return lives


def _continues(life: Life, line: Event) -> bool:
    same = (life.local, life.peer) == (line["local"], line["peer"])
    state = _STATES[line["state"]]
    return same and (state is life.state or state in later(life.state))


def rejoined(lives: Iterable[Life]) -> list[Life]:
    """The lives of one node, a full socket and its minisocket as one.

    A minisocket takes the cookie of its socket over, but only if the kernel had made that one. Otherwise the two are
    known by their address pair: the one goes and the other comes in one tick, in a state that can follow.
    """
    gone: dict[tuple[str, str, float], Life] = {}
    kept: list[Life] = []
    # First sightings come in order of time, and a life ends after it began: whoever went at t is there by then.
    for life in lives:
        first, state = life.sightings[0]
        old = gone.pop((life.local, life.peer, first), None) if state in MINISOCKETS else None
        if old is not None and state in later(old.state):
            old.sightings += life.sightings
            old.queues += life.queues
            old.traffic += life.traffic
            old.probes += life.probes
            old.untimed = life.untimed
            old.gone = life.gone
            life = old
        else:
            kept.append(life)
        if life.gone is not None:
            gone[life.local, life.peer, life.gone] = life
    return kept


def to_sockets(lives: Iterable[Life], ticks: NodeTicks, counters: Counters) -> list[Socket]:
    """Lives with the time between their sightings filled in."""
    gaps = GapRule(ticks, counters)
    return [_to_socket(life, ticks, gaps) for life in lives]


def _to_socket(life: Life, ticks: NodeTicks, rule: GapRule) -> Socket:
    intervals: list[StateInterval] = []
    gaps: list[UnknownInterval] = []
    last_state = TcpState.CLOSED
    for position, (first, state) in enumerate(life.sightings):
        before = ticks.before(first)
        if before is not None:
            gaps.append(UnknownInterval(before, first, rule.states(life.node, before, first, last_state, state)))
        following = life.sightings[position + 1][0] if position + 1 < len(life.sightings) else life.gone
        last = ticks.before(following) if following is not None else ticks.times[-1]
        intervals.append(StateInterval(state, first, first if last is None else last))
        last_state = state
    if life.gone is not None:
        after = intervals[-1].last
        gaps.append(
            UnknownInterval(after, life.gone, rule.states(life.node, after, life.gone, last_state, TcpState.CLOSED))
        )
    return Socket(
        life.node, life.sk, life.local, life.peer, tuple(intervals), tuple(gaps), tuple(life.queues),
        life.uid, life.pid, life.comm, owned=tuple(life.owned), traffic=tuple(life.traffic),
        probes=tuple(life.probes), untimed=life.untimed,
    )  # fmt: skip


@record
class _Moved:
    """What the counters let happen inside a gap: a SYN sent, a minisocket armed, a TIME_WAIT cut short."""

    called: bool
    armed: bool
    cut_short: bool


class GapRule:
    """Which states are possible in a gap; see the top of this file."""

    def __init__(self, ticks: NodeTicks, counters: Counters) -> None:
        self._ticks = ticks
        self._counters = counters
        self._known: dict[tuple[str, float, float], _Moved] = {}

    def states(self, node: str, after: float, before: float, start: TcpState, end: TcpState) -> frozenset[TcpState]:
        """The states on a path from `start` to `end` that a socket can have been in inside (after, before)."""
        states = between(start, end)
        if TcpState.TIME_WAIT in states - {start, end} and before - after < TIME_WAIT_SECONDS:
            moved = self._moved(node, after, before)
            if not (moved.cut_short and (moved.armed or start is TcpState.FIN_WAIT2)):
                states -= {TcpState.TIME_WAIT}
        if TcpState.SYN_SENT in states - {start, end} and not self._moved(node, after, before).called:
            states -= {TcpState.SYN_SENT}
        return states

    def _moved(self, node: str, after: float, before: float) -> _Moved:
        key = (node, after, before)
        if key not in self._known:
            # A tick reads a table and then the counters: what happened between the two was counted a tick early.
            since = self._ticks.before(after)
            since = after if since is None else since
            # The group of TW is read seldom: the first tick this much later has surely read it. At the end of a run
            # there may be none, and what was not read may have risen.
            read = self._ticks.from_(before + TCPEXT_EVERY) or self._ticks.times[-1]
            called = self._rose(node, "ActiveOpens", since, before)
            reset = any(self._rose(other, "OutRsts", since - _RST_UNDER_WAY, before) for other in self._counters.series)
            self._known[key] = _Moved(
                called=called,
                armed=any(
                    self._counters.read_until(name, read) < before or self._rose(node, name, since, read)
                    for name in ("TW", "TWKilled")
                ),
                cut_short=reset or called or self._rose(node, "PassiveOpens", since, before),
            )
        return self._known[key]

    def _rose(self, node: str, name: str, after: float, until: float) -> bool:
        """Whether the counter rose, or was never read: what nobody looked at may have happened."""
        series = self._counters.series.get(node, {}).get(name)
        if not series:
            return True
        rise = self._counters.rise(node, name, max(after, series[0][0]), until)
        return rise is None or rise > 0
