"""Sockets from the kernel's own account: every change of state with its time.

The trace has no event for three things, and each is found another way:
- TIME_WAIT. A minisocket's timer starts, and its full socket reports CLOSED (`born`). It is in TIME_WAIT when the
  peer's FIN had come, else an orphan in FIN_WAIT2, which turns when the peer's FIN comes: timewait.py finds out when.
- The early end of a minisocket: by a new socket on the same address pair, or by a RST that the peer sent. The latter
  is not sure (`tcp_rfc1337`): the timer that expires later, or a later sample, shows that it lived on.
- What was there before tracing began, and listening sockets: as the samples show them.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.history.model import MinisocketEnd
from orchestrator.history.nat import NO_NAT, Translations
from orchestrator.history.tracedlife import TracedLife
from orchestrator.recording.events import Event
from orchestrator.tcp.lifecycle import BIRTHS
from orchestrator.tcp.states import TcpState

_STATES = {state.value: state for state in TcpState}
_BIRTHS = dict(BIRTHS)
"""State that is left -> state that a connection's socket is born in."""


def trace_lives(events: Iterable[Event], until: float, translations: Translations = NO_NAT) -> list[TracedLife]:
    """The lives that the trace shows, in order of birth; what happened after `until` is left out."""
    gathered = _Gathering(translations)
    for event in events:
        if float(event["t"]) <= until:
            gathered.take(event)
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
                if life is not None:
                    life.sent_again.append(float(event["t"]))
                    if life.local.endswith(":0"):
                        life.local = event["local"]
            case "rst_received":
                life = self._current.get(event["a"])
                if life is not None:
                    life.reset_received = float(event["t"])
            case "rst":
                # A segment that met an orphan in FIN_WAIT2: the RST is the last that it did. Or it met nothing.
                answering = self._end_mini((event["local"], event["peer"]), float(event["t"]), MinisocketEnd.RESET)
                if answering is not None and _of_minisocket(event, answering):
                    answering.answered = float(event["t"])
                life = self._minis.get(self._translations.peer_pair(event["local"], event["peer"], float(event["t"])))
                if life is not None and life.reset_at is None:
                    life.reset_at = float(event["t"])

    def _state(self, event: Event) -> None:
        a, t, new = event["a"], float(event["t"]), _STATES[event["new"]]
        if _BIRTHS.get(event["old"]) is new:
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
        if len(known.changes) == 2 and known.changes[0][1] is TcpState.SYN_SENT and new is TcpState.ESTABLISHED:
            # It was answered, so its SYN had taken over what the other end had left. The child of that SYN may be long
            # in coming: a full backlog, TCP_DEFER_ACCEPT.
            self._end_mini(self._translations.peer_pair(known.local, known.peer, t), t, MinisocketEnd.REUSED)

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
                    life.mini = t
        elif event["what"] == "expired":
            self._end_mini(key, t, MinisocketEnd.EXPIRED)
        elif (waiting := self._minis.get(key)) is not None:
            waiting.rearmed.append(t)

    def _end_mini(self, key: tuple[str, str], t: float, by: MinisocketEnd) -> TracedLife | None:
        life = self._minis.pop(key, None)
        if life is not None:
            life.ended, life.ended_by = t, by
        return life


def _of_minisocket(rst: Event, life: TracedLife) -> bool:
    """Whether a RST was sent by the minisocket of a life. A kernel without reasons (before 6.10) does not say: then one
    that a RST had come for before is taken to have been gone."""
    reason = rst.get("reason")
    return reason == "TCP_TIMEWAIT_SOCKET" if reason else life.reset_at is None
