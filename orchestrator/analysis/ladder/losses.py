"""Retransmissions, and segments that got lost.

A segment is lost for sure when simctl had cut one of the two nodes off, or when the other end lived on and its states
show that it never noticed. Of a segment that was sent several times it is the last one before the other end noticed
that came through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import GOT_FIN, Change, Life
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.segment import Segment, near
from orchestrator.history.index import queue_at
from orchestrator.history.lifetimes import birth, death
from orchestrator.history.model import Connection, History, Side, Socket
from orchestrator.history.slowness import slowest
from orchestrator.recording.events import Event
from orchestrator.scenario.steps import EFFECTS
from orchestrator.tcp.lifecycle import SENT_FIN
from orchestrator.tcp.states import TcpState

_S = TcpState

_RTO_MIN = 0.19
"""Seconds: no timer sends the same segment again sooner (TCP_RTO_MIN is 0.2 s, in ticks of the kernel's clock)."""

_HANDSHAKE = {_S.SYN_SENT: Flags.SYN, _S.SYN_RECV: Flags.SYN_ACK}


def retransmissions(life: Life, history: History, until: float) -> Iterator[Segment]:
    """The retransmissions of an end, where the trace shows each of them: SYN, SYN+ACK, FIN or `data`."""
    socket = life.socket
    if socket is None or life.node is None:
        return
    begun, ended = birth(socket)[0], min(death(socket), until)
    for event in history.retransmits.get(life.node, ()):
        t = float(event["t"])
        if (event["local"], event["peer"]) == (socket.local, socket.peer) and begun <= t <= ended:
            yield Segment(_flags(socket, _S(event["state"]), t), life.side, t, t, retransmission=True)


def _flags(socket: Socket, state: TcpState, t: float) -> Flags:
    """What goes first of all that is not acknowledged: data that was written before the end closed goes before its FIN,
    which counts as one byte of the queue."""
    reading = queue_at(socket, t)
    if state not in SENT_FIN:
        return _HANDSHAKE.get(state, Flags.DATA)
    return Flags.DATA if reading is not None and reading.send_q > 1 else Flags.FIN


def unacknowledged(life: Life, history: History) -> int:
    """Bytes of data that stood in the queue of an end after it had closed, its FIN not counted."""
    closing = life.into(SENT_FIN)
    if closing is None or life.socket is None or closing.state not in (_S.FIN_WAIT1, _S.LAST_ACK):
        return 0
    interval = next((interval for interval in life.socket.intervals if interval.state is closing.state), None)
    tick = next((tick for tick in history.ticks if tick >= closing.before), None)
    if interval is None or tick is None or tick > interval.last:
        return 0
    reading = queue_at(life.socket, tick)
    return max(0, reading.send_q - 1) if reading else 0


class Losses:
    """Which segments between two ends got lost."""

    def __init__(self, connection: Connection, history: History, client: Life, server: Life, until: float) -> None:
        self._history = history
        self._ends = {client.side: client, server.side: server}
        self.until = until
        self._slow = slowest(history.happened)
        between = {flow.node for flow in connection.via}
        self._cuts = list(_cuts({connection.client_node, connection.server_node} | between, history))
        self._cuts += [(flow.ended[0], math.inf) for flow in connection.via if flow.ended is not None]

    def cut(self, after: float, before: float) -> bool:
        """Whether one of the nodes was cut off all the time, or a NAT between them had forgotten the connection."""
        return any(begun <= after and before <= over for begun, over in self._cuts)

    def handshake(self, syn: Segment, again: Iterable[Segment], resets: Iterable[Segment]) -> None:
        """SYNs. Where the server's node has no such end, none of them led to anything."""
        client, server = self._ends[syn.sender], self._ends[syn.sender.other]
        heard = [change.before for change in (*server.changes[:1], client.into(_ANSWERED)) if change]
        heard += [reset.before for reset in resets if reset.sender is server.side]
        traced = self._history.exact and server.node in self._history.nodes and server.socket is None
        traced = traced and self.until > syn.before + self._slow
        arrived = min(heard, default=math.inf if traced else None)
        self._mark([syn, *(one for one in again if one.flags == Flags.SYN)], arrived, arrived)

    def fins(self, side: Side, sent: Sequence[Segment], resets: Iterable[Segment]) -> None:
        """All FINs of one end, in order of time."""
        sender, receiver = self._ends[side], self._ends[side.other]
        noticed = receiver.into(GOT_FIN)
        acknowledged = [
            change.before
            for change in sender.changes
            if change.state is _S.FIN_WAIT2 or (change.was is _S.CLOSING and change.state is _S.TIME_WAIT)
        ]
        acknowledged += [change.before for change in sender.changes if sent and _answered_at_once(change, sent, resets)]
        heard = min([*acknowledged, *([noticed.before] if noticed else [])], default=None)
        # Of a minisocket it may not be known when it noticed: then any of those sent meanwhile may be the one.
        self._mark(sent, heard, min(noticed.after, heard) if noticed and heard is not None else heard)
        if heard is None:
            for one in sent:
                one.lost = one.lost or self._lives_on(receiver, one)

    def reset(self, reset: Segment) -> None:
        """A RST that did not end the other end. One in TIME_WAIT may live on all the same (tcp_rfc1337)."""
        if reset.by is not None:
            return
        victim = self._ends[reset.sender.other]
        survives = self._lives_on(victim, reset) and victim.at(reset.before) not in (None, _S.CLOSED, _S.TIME_WAIT)
        reset.lost = self.cut(reset.after, reset.before) or survives

    def data(self, again: Sequence[Segment], exchanges: Iterable[Exchange]) -> None:
        """Data of one end that was retransmitted, such as a request, of which the server tells when it had read it."""
        read = [(one.began, one.served) for one in exchanges if one.served is not None and one.served > one.began]
        for one, following in pairwise([*again, None]):
            assert one is not None
            arrived = next((served for asked, served in read if asked <= one.before <= served), -math.inf)
            # Those that come close upon each other are pieces of one large segment: each may have come.
            once_more = following is not None and following.after - one.before >= _RTO_MIN
            in_vain = once_more and following is not None and following.after <= arrived and not self._slow
            one.lost = in_vain or self.cut(one.after, one.before)

    def _mark(self, sent: Sequence[Segment], arrived: float | None, earliest: float | None) -> None:
        """`arrived` is when one of them had surely come: None when that is not known, inf when none came. Before
        `earliest` none had."""
        for number, one in enumerate(sent):
            following = sent[number + 1].after if number + 1 < len(sent) else math.inf
            # Which of several was the one that came is not known where they are delayed, unless none did.
            in_vain = came = False
            if arrived is not None and earliest is not None:
                in_time = min(following, one.before + _NOTICED) <= earliest
                in_vain = in_time and following <= arrived and (not self._slow or arrived == math.inf)
                came = one.after <= arrived and earliest < following
            one.lost = in_vain or (not came and self.cut(one.after, one.before))

    def _lives_on(self, life: Life, segment: Segment) -> bool:
        """Whether the trace shows that an end was there and went on as before, long enough to have noticed."""
        noticed = segment.before + _NOTICED + self._slow
        if not self._history.exact or life.socket is None or self.until < noticed:
            return False
        return birth(life.socket)[1] <= segment.after and life.socket.intervals[-1].last > noticed


_NOTICED = 0.1
"""Seconds after which an end has noticed what came: a lab's links do not delay, where no step does, and what is sent
again is so after 0.2 s (TCP_RTO_MIN)."""

_ACK_COMES = 0.19
"""Seconds. An end of LAST_ACK that comes sooner after its FIN was no timer's: the shortest of those is 0.2 s."""


def _answered_at_once(change: Change, sent: Sequence[Segment], resets: Iterable[Segment]) -> bool:
    """Whether a LAST_ACK ended with the ACK that it waits for, however soon a NAT forgot the connection then."""
    if change.was is not _S.LAST_ACK or change.state is not _S.CLOSED:
        return False
    before = [fin.before for fin in sent if fin.before <= change.before]
    at_once = bool(before) and change.before - before[-1] < _ACK_COMES
    return at_once and not any(near(reset, change) for reset in resets)


_ANSWERED = frozenset(TcpState) - _HANDSHAKE.keys() - {_S.CLOSED}


def _cuts(nodes: set[str | None], history: History) -> Iterator[tuple[float, float]]:
    """When one of the nodes was off the network that joins them. Of a node with several networks, one of which was
    cut, it is not known whether that one joins them. A node talks to itself without any."""
    if len(nodes) < 2:
        return
    for number, event in enumerate(history.happened):
        node = event["node"]
        if _reachable(event) is not False or node not in nodes:
            continue
        networks = sum(owner == node for owner in history.addresses.values())
        if (event.get("detail") or {}).get("network") and networks > 1:
            continue
        later = (one for one in history.happened[number:] if _reachable(one) and one["node"] == node)
        yield float(event["t"]), float(next(later, {"t": math.inf})["t"])


def _reachable(event: Event) -> bool | None:
    """Whether a node can be reached from this event on; None when the event changes nothing of that."""
    effect = EFFECTS.get(event["what"])
    return effect.reachable if effect is not None else None
