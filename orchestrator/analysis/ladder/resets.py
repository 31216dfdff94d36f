"""RST segments of one connection: those that the trace shows, or those that programs and counters prove without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import Change, Life
from orchestrator.analysis.ladder.model import Flags
from orchestrator.analysis.ladder.segment import UNDER_WAY, Segment, near
from orchestrator.history.closing import RST_ERRORS
from orchestrator.history.counters import Counters
from orchestrator.history.lifetimes import death
from orchestrator.history.model import Connection, Flow, History, Side
from orchestrator.tcp.states import TcpState

_S = TcpState

KEEPALIVE = "TCP_KEEPALIVE_TIMEOUT"

CAME_LATE = frozenset({"TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET", "NO_SOCKET"})
"""Reasons of an end that had closed and got data all the same."""

DATA_CAME_LATE = frozenset({"TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET"})
"""Of these the ones that no bare FIN brings about."""

_WORDS = {
    "NO_SOCKET": "no socket there",
    "TCP_ABORT_ON_CLOSE": "closed with data unread",
    "TCP_ABORT_ON_DATA": "data came after it had closed",
    # Only an orphan in FIN_WAIT2 says so, which Linux keeps as a minisocket; one in TIME_WAIT answers with an ACK.
    "TCP_TIMEWAIT_SOCKET": "data came after it had closed",
    "TCP_ABORT_ON_LINGER": "closed with TCP_LINGER2 below 0",
    "TCP_ABORT_ON_MEMORY": "no memory, or too many orphans",
    "TCP_DISCONNECT_WITH_DATA": "disconnected with data unsent",
    KEEPALIVE: "no answer to keep-alive probes",
    "TCP_FLAGS": "no such connection, only a listening socket",
    "INVALID_SYN": "a SYN came inside the connection",
    "TCP_RFC7323_PAWS": "a segment with an old timestamp",
    "TCP_INVALID_ACK_SEQUENCE": "an ACK of what it had not sent",
    "TCP_ACK_UNSENT_DATA": "an ACK of what it had not sent",
    "TCP_TOO_OLD_ACK": "an ACK that is too old",
    "TCP_OLD_ACK": "an ACK that is too old",
    "NOT_SPECIFIED": "",
}
"""enum sk_rst_reason (include/net/rstreason.h), by where net/ipv4 uses each name."""


def in_words(reason: str, sender: Side) -> str:
    """The kernel's reason in words, where its name is known."""
    if reason == "TCP_STATE":  # tcp_disconnect(): close() with SO_LINGER 0, or the end of a listening socket
        return "aborted by SO_LINGER 0" + (", or never accepted" if sender is Side.SERVER else "")
    name = reason.replace("_", " ").lower()
    return _WORDS.get(reason, f"the kernel's reason: {name}" if name else "")


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
        reason = str(event.get("reason") or "")
        sender = one.side if sends else one.side.other
        by = event["node"] if event["node"] in {flow.node for flow in via} else None
        note = "by a rule of its packet filter" if event.get("rule") else in_words(reason, sender)
        yield Segment(Flags.RST, sender, t, t, note, reason=reason, by=by)


def met(
    exchanges: Sequence[Exchange], client: Life, server: Life, history: History, via: Sequence[Flow]
) -> Iterator[Segment]:
    """The one that a client's program met. It is a NAT's (`via`) when that had forgotten the connection, or when only
    the NAT's counter rose."""
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
            by = next(iter(forgot), rose[0] if len(rose) == 1 and rose[0] in between else None)
            yield Segment(Flags.RST, Side.SERVER, after, before, by=by)
            return


def counted(history: History, change: Change, ends: Sequence[Life], known: Sequence[Segment]) -> Segment | None:
    """The RST that made an end vanish: one of the known, or a new one of the only node whose counter OutRsts rose."""
    if change.state is not _S.CLOSED or change.was in (_S.TIME_WAIT, _S.FIN_WAIT2):
        return None
    rose = [life for life in ends if life.node and _rose(history, life.node, change.after, change.before)]
    if len(rose) != 1:
        return None
    note = f"the counter OutRsts of {rose[0].node} rose"
    found = next((one for one in known if one.sender is rose[0].side and near(one, change)), None)
    return found or Segment(Flags.RST, rose[0].side, change.after, change.before, note)


def _rose(history: History, node: str, after: float, before: float) -> bool:
    """Whether the node's counter of RSTs rose, a sample more or less."""
    period = float(history.begin.get("period", 0.05))
    return bool(Counters(history.counters).rise(node, "OutRsts", after - period, before + period))
