"""Which states of one end of a connection its traffic and its samples leave possible, and when.

An end is followed by all paths that the kernel could have taken: every segment for it may have arrived or not, its
program may have closed at any time. What an end sends, and what a sample shows, ends the paths that do not lead there.
Paths are followed forwards and then backwards: a FIN that had no effect an hour later did not arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from tests.truth.model_lives import Side
from tests.truth.model_wire import ACK, FIN, RST, SYN, Segment, after

State = tuple[str, float]
"""A state of the machine below, and for TIME_WAIT since when."""

Refutation = tuple[float, frozenset[str]]
"""When, and what was possible then."""

LINUX = {
    "none": "CLOSED", "syn_sent": "SYN_SENT", "syn_recv": "SYN_RECV", "established": "ESTABLISHED",
    "fin_unsent": "FIN_WAIT1", "fin_sent": "FIN_WAIT1", "fin_wait2": "FIN_WAIT2", "closing_unsent": "CLOSING",
    "closing": "CLOSING", "time_wait": "TIME_WAIT", "close_wait": "CLOSE_WAIT", "last_ack_unsent": "LAST_ACK",
    "last_ack": "LAST_ACK", "overflowed": "CLOSED", "gone": "CLOSED",
}  # fmt: skip
"""State of the machine -> what Linux calls it. A FIN waits behind the data before it, so some states are two. Over
tcp_max_tw_buckets there is no TIME_WAIT, but the last ACK is still sent: overflowed."""

EVERY = frozenset(LINUX.values())

_FIN_RECEIVED = {"close_wait", "last_ack_unsent", "last_ack", "closing_unsent", "closing", "time_wait", "overflowed"}
_SENDS_DATA = {
    "established", "close_wait", "fin_unsent", "fin_sent", "last_ack_unsent", "last_ack", "closing_unsent", "closing",
}  # fmt: skip
_SENDS_FIN = {
    "established": "fin_sent", "fin_unsent": "fin_sent", "close_wait": "last_ack", "last_ack_unsent": "last_ack",
    "closing_unsent": "closing",
}  # fmt: skip
_SYNCHRONIZED = set(LINUX) - {"none", "syn_sent", "syn_recv", "gone"}
_BY_ITSELF = {
    "none": ("syn_sent",), "syn_sent": ("gone",), "syn_recv": ("none",), "established": ("fin_unsent", "gone"),
    "close_wait": ("last_ack_unsent", "gone"), "fin_unsent": ("gone",), "fin_sent": ("gone",), "fin_wait2": ("gone",),
    "closing_unsent": ("gone",), "closing": ("gone",), "last_ack_unsent": ("gone",), "last_ack": ("gone",),
    "overflowed": ("gone",),
}  # fmt: skip
_TIME_WAIT_LASTS = 59.0
"""Seconds: Linux never ends it earlier, so little less is safe."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing in the life of an end: it `sent` a segment, one was `offered` to it (and may have been lost), it was
    `seen` in one of the states of Linux, `called` by a new SYN, or `replaced` by a new socket on its addresses."""

    t: float
    kind: str
    segment: Segment | None = None
    states: frozenset[str] = frozenset()
    source: str = ""


@dataclass(slots=True)
class Known:
    """What is possible: `sets[i]` between `times[i]` and `times[i + 1]`; before the first and after the last too."""

    times: list[float] = field(default_factory=list)
    sets: list[frozenset[str]] = field(default_factory=list)
    lost: str = ""
    """What no path of the machine could explain: then nothing is known of this end."""

    def excluding(self, states: Collection[str], begin: float, end: float, slack: float) -> Refutation | None:
        """An instant in [begin, end], `slack` away from its borders and from all that happened, at which the end was
        surely in none of the states, and in which it may have been; None when there is none."""
        for number, possible in enumerate(self.sets):
            if not possible.isdisjoint(states):
                continue
            low = max(begin, self.times[number]) + slack
            high = min(end, self.times[number + 1] if number + 1 < len(self.times) else end) - slack
            if low <= high:
                return low, possible
        return None

    def decided(self, begin: float, end: float, slack: float) -> tuple[int, int]:
        """Of the stretches between two happenings in [begin, end]: how many, and of how many one state is possible."""
        bounds = zip(self.times, [*self.times[1:], end], self.sets, strict=True)
        tested = [sets for low, high, sets in bounds if max(begin, low) + slack <= min(end, high) - slack]
        return len(tested), sum(len(sets) == 1 for sets in tested)

    def within(self, begin: float, end: float) -> frozenset[str]:
        """All states that are possible at some time in [begin, end]."""
        bounds = zip(self.times, [*self.times[1:], float("inf")], self.sets, strict=True)
        return frozenset(state for low, high, sets in bounds if low <= end and begin <= high for state in sets)

    def ever(self, states: Collection[str], until: float, slack: float) -> tuple[bool, bool]:
        """Whether it surely was in one of the states before `until`, and whether it may have been."""
        known = list(zip(self.times, self.sets, strict=True))
        return (
            any(sets <= set(states) for t, sets in known if t < until - slack),
            any(not sets.isdisjoint(states) for t, sets in known if t < until + slack),
        )

    def at(self, t: float) -> frozenset[str]:
        index = sum(time <= t for time in self.times) - 1
        return self.sets[max(index, 0)] if self.sets else EVERY


class Machine:
    """One end: `mine` and `peer` are what the two ends sent in all (numbers of their FINs above all)."""

    def __init__(self, mine: Side, peer: Side, *, calls: bool, skips_time_wait: bool) -> None:
        """`calls`: it is the end that sends the first SYN."""
        self._mine = mine
        self._calls = calls
        self._peer = peer
        self._skips = skips_time_wait

    def follow(self, happenings: Sequence[Happening], until: float) -> Known:
        """The states possible between any two happenings, from the time before the first to `until`."""
        forward: list[frozenset[State]] = [frozenset({("none", 0.0)})]
        for number, happening in enumerate(happenings):
            before = self._closure(forward[-1], happening.t)
            following = frozenset(state for known in before for state in self._step(known, happening))
            if not following:
                told = f"{happening.kind} {happening.segment or ','.join(sorted(happening.states))} {happening.source}"
                return Known([0.0], [EVERY], f"at {happening.t:.6f} {told} after {sorted({s for s, _ in before})}")
            forward.append(following)
            assert len(forward) == number + 2
        return self._backward(happenings, forward, until)

    def _backward(self, happenings: Sequence[Happening], forward: list[frozenset[State]], until: float) -> Known:
        known = Known()
        wanted: frozenset[State] | None = None
        for number in range(len(happenings), -1, -1):
            end = happenings[number].t if number < len(happenings) else until
            possible: set[State] = set()
            starts: set[State] = set()
            for start in forward[number]:
                reached = self._closure({start}, end)
                leading = {state for state in reached if self._leads(state, number, happenings, wanted)}
                if leading:
                    starts.add(start)
                    # On the way to a state that leads on: all that can reach one such.
                    possible |= {s for s in reached if not leading.isdisjoint(self._closure({s}, end))}
            wanted = frozenset(starts)
            known.times.append(happenings[number - 1].t if number else float("-inf"))
            known.sets.append(frozenset(LINUX[name] for name, _ in possible))
        known.times.reverse()
        known.sets.reverse()
        return known

    def _leads(
        self, state: State, number: int, happenings: Sequence[Happening], wanted: frozenset[State] | None
    ) -> bool:
        return wanted is None or not wanted.isdisjoint(self._step(state, happenings[number]))

    def _closure(self, states: Iterable[State], until: float) -> set[State]:
        found = set(states)
        pending = list(found)
        while pending:
            name, since = pending.pop()
            following = _BY_ITSELF.get(name, ())
            if name == "none" and not self._calls:
                continue
            if name == "time_wait" and until - since >= _TIME_WAIT_LASTS:
                following = ("gone",)
            for new in following:
                if (new, 0.0) not in found:
                    found.add((new, 0.0))
                    pending.append((new, 0.0))
        return found

    def _step(self, state: State, happening: Happening) -> Collection[State]:
        if happening.kind == "seen":
            return (state,) if LINUX[state[0]] in happening.states else ()
        if happening.kind == "replaced":
            return (("gone", 0.0),) if LINUX[state[0]] in ("CLOSED", "TIME_WAIT") else ()
        if happening.kind == "called":
            return (state, ("gone", 0.0))
        assert happening.segment is not None
        if happening.kind == "sent":
            return self._sent(state, happening.segment)
        return {state, *self._offered(state, happening.segment, happening.t)}

    def _sent(self, state: State, segment: Segment) -> Collection[State]:
        name = state[0]
        if segment.has(RST):
            return self._sent_reset(name)
        if segment.has(SYN):
            if segment.has(ACK):
                return (state,) if name in ("syn_recv", "none") else ()  # none: a SYN cookie
            return (("syn_sent", 0.0),) if name in ("none", "syn_sent") else ()
        if name == "syn_recv":
            fits = self._peer.isn is not None and after(segment.ack, self._peer.isn) == 1
            return (state,) if fits and segment.size == 0 and not segment.has(FIN) else ()
        if name not in _SYNCHRONIZED:
            return ()
        if segment.has(FIN):
            first = self._mine.fin_at == segment.t
            name = _SENDS_FIN.get(name, "") if first else name if name in ("fin_sent", "last_ack", "closing") else ""
        elif segment.size and name not in _SENDS_DATA:
            name = ""
        return ((name, state[1]),) if name and self._acknowledges(name, segment) else ()

    @staticmethod
    def _sent_reset(name: str) -> Collection[State]:
        if name in ("syn_sent", "none", "gone"):  # answers to what is not theirs
            return ((name, 0.0),)
        if name == "syn_recv":
            return (("syn_recv", 0.0), ("none", 0.0))
        return () if name == "time_wait" else (("gone", 0.0),)

    def _acknowledges(self, name: str, segment: Segment) -> bool:
        """Whether an end in this state acknowledges what the segment does: the peer's FIN, or not."""
        fin, fin_at = self._peer.fin, self._peer.fin_at
        if fin is None or fin_at is None or fin_at > segment.t:
            return name not in _FIN_RECEIVED
        return (after(segment.ack, fin) >= 1) == (name in _FIN_RECEIVED)

    def _offered(self, state: State, segment: Segment, t: float) -> Collection[State]:
        """What the state becomes if the segment arrives."""
        name, since = state
        if segment.has(RST):
            if name == "syn_recv":
                return (("none", 0.0),)
            return () if name in ("none", "gone") else (("gone", 0.0),)
        if segment.has(SYN):
            if segment.has(ACK):
                return (("established", 0.0),) if name == "syn_sent" else ()
            return (("syn_recv", 0.0),) if name == "none" else ()
        if not segment.has(ACK) or name in ("syn_sent", "gone"):
            return ()
        if name in ("none", "syn_recv"):
            if self._mine.isn is None or after(segment.ack, self._mine.isn) < 1:
                return ()
            name = "established"
        return self._arrived(name, since, segment, t)

    def _arrived(self, name: str, since: float, segment: Segment, t: float) -> Collection[State]:
        found: set[State] = set()
        fin = self._mine.fin
        if fin is not None and after(segment.ack, fin) >= 1:
            if name == "last_ack":
                return (("gone", 0.0),)
            if name == "closing":
                return (("time_wait", t), ("overflowed", 0.0)) if self._skips else (("time_wait", t),)
            name = "fin_wait2" if name == "fin_sent" else name
        if name == "fin_wait2" and segment.size:
            found.add(("gone", 0.0))  # what is left of an end that has closed answers data with a RST
        peer_fin = self._peer.fin_at
        if peer_fin is not None and peer_fin <= segment.t and (segment.size or segment.has(FIN)):
            turned = {"established": "close_wait", "fin_unsent": "closing_unsent", "fin_sent": "closing"}.get(name)
            if turned is not None:
                found.add((turned, 0.0))
            if name == "fin_wait2":
                found.add(("time_wait", t))
                if self._skips:
                    found.add(("overflowed", 0.0))
        found.add((name, since if name == "time_wait" else 0.0))
        return found
