"""RST segments of one connection: those that the trace shows, or those that programs and counters prove without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import Change, Life
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.notes import CounterRose, FilterRule, ResetReason
from orchestrator.analysis.ladder.segment import UNDER_WAY, Segment, near
from orchestrator.history.closing import RST_ERRORS
from orchestrator.history.counters import Counters
from orchestrator.history.lifetimes import death
from orchestrator.history.model import ClosingKind, Connection, History, Side
from orchestrator.history.segments import FILTER
from orchestrator.tcp.states import TcpState

_S = TcpState

KEEPALIVE = "TCP_KEEPALIVE_TIMEOUT"

CAME_LATE = frozenset({"TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET", "NO_SOCKET"})
"""Reasons of an end that had closed and got data all the same."""

DATA_CAME_LATE = frozenset({"TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET"})
"""Of these the ones that no bare FIN brings about."""


def traced(connection: Connection, client: Life, server: Life, until: float) -> Iterator[Segment]:
    """Those that the trace shows."""
    via = connection.via
    life_of = {(end.local, end.peer): life for life in (client, server) if (end := life.socket)}
    for event in connection.resets:
        t = float(event["t"])
        sends = life_of.get((event["local"], event["peer"]))
        meets = life_of.get((event["peer"], event["local"]))
        one = sends or meets
        if one is None or one.socket is None or t > until:
            continue
        if via and t > death(one.socket) + UNDER_WAY:  # its addresses are another's now, though the far end lives on
            continue
        reason = str(event.get("reason") or "") or _reason(sends, t)
        sender = one.side if sends else one.side.other
        own = (client if sender is Side.CLIENT else server).node
        by = event["node"] if event["node"] in {FILTER, *(flow.node for flow in via)} or event["node"] != own else None
        note = FilterRule() if event.get("rule") else ResetReason(reason, sender)
        yield Segment(Flags.RST, sender, t, t, note, reason=reason, by=by)


def _reason(sender: Life | None, t: float) -> str:
    """The reason where the kernel gave none: a minisocket in FIN_WAIT2 sends a RST only when data comes."""
    if sender is None or any(change.state is _S.CLOSED and change.before < t for change in sender.changes):
        return ""
    reached = [change.state for change in sender.changes if change.before <= t and change.state is not _S.CLOSED]
    return "TCP_TIMEWAIT_SOCKET" if reached[-1:] == [_S.FIN_WAIT2] else ""


def met(
    exchanges: Sequence[Exchange], client: Life, server: Life, history: History, connection: Connection
) -> Iterator[Segment]:
    """The one that a client's program met. It is a NAT's when that had forgotten the connection, or when only the NAT's
    counter rose; and that of a node which now has the server's address where the wire shows that one's."""
    via, closing = connection.via, connection.closing
    ends = (client.node, server.node)
    other = closing.by if closing.kind is ClosingKind.RST and closing.traced and closing.by not in ends else None
    for exchange in exchanges:
        if exchange.met & RST_ERRORS:
            gone = client.into({_S.CLOSED})
            after = exchange.began if gone is None else max(exchange.began, gone.after)
            before = exchange.done if gone is None else min(exchange.done, gone.before)
            if after > before:
                after, before = exchange.began, exchange.done
            between = [flow.node for flow in via]
            forgot = [flow.node for flow in via if flow.ended is not None and flow.ended[0] <= before]
            rose = [node for node in (*between, server.node or "") if _rose(history, node, after, before)]
            by = next(iter(forgot), rose[0] if len(rose) == 1 and rose[0] in between else other)
            yield Segment(Flags.RST, Side.SERVER, after, before, by=by)
            return


def counted(history: History, change: Change, ends: Sequence[Life], known: Sequence[Segment]) -> Segment | None:
    """The RST that made an end vanish: one of the known, or a new one of the only node whose counter OutRsts rose."""
    if change.state is not _S.CLOSED or change.was in (_S.TIME_WAIT, _S.FIN_WAIT2):
        return None
    rose = [life for life in ends if life.node and _rose(history, life.node, change.after, change.before)]
    if len(rose) != 1:
        return None
    note = CounterRose(rose[0].node)
    found = next((one for one in known if one.sender is rose[0].side and near(one, change)), None)
    return found or Segment(Flags.RST, rose[0].side, change.after, change.before, note)


def _rose(history: History, node: str, after: float, before: float) -> bool:
    """Whether the node's counter of RSTs rose, a sample more or less."""
    period = float(history.begin.get("period", 0.05))
    return bool(Counters(history.counters).rise(node, "OutRsts", after - period, before + period))
