"""RST segments of one connection: those that the trace shows, or those that programs and counters prove without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.recording.counters import Counters
from orchestrator.recording.history import History
from orchestrator.recording.lifetimes import birth, death
from orchestrator.report.exchanges import Exchange
from orchestrator.report.ladder import Side
from orchestrator.report.ladderlife import Change, Life
from orchestrator.report.laddersegment import UNDER_WAY, Segment, near
from orchestrator.scenario.facts import TcpState

_S = TcpState

RST_ERRORS = frozenset({"ConnectionResetError", "BrokenPipeError"})
"""Errors that a client meets after a RST."""

KEEPALIVE = "TCP_KEEPALIVE_TIMEOUT"

CAME_LATE = frozenset({"TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET", "NO_SOCKET"})
"""Reasons of an end that had closed and got data all the same."""

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


def traced(history: History, client: Life, server: Life, until: float) -> Iterator[Segment]:
    """Those that the trace shows."""
    sockets = [life.socket for life in (client, server) if life.socket]
    pairs = {(end.local, end.peer) for end in sockets} | {(end.peer, end.local) for end in sockets}
    begun = min(end.stays[0].first if birth(end)[0] == float("-inf") else birth(end)[0] for end in sockets)
    ended = max(map(death, sockets)) + UNDER_WAY
    for event in history.resets:
        t = float(event["t"])
        if (event["local"], event["peer"]) in pairs and begun <= t <= min(ended, until):
            reason = str(event.get("reason") or "")
            sender = Side.CLIENT if event["local"] == sockets[0].local else Side.SERVER
            if not client.socket:
                sender = sender.other
            yield Segment("RST", sender, t, t, in_words(reason, sender), reason=reason)


def met(exchanges: Sequence[Exchange], client: Life) -> Iterator[Segment]:
    """The one that a client's program met."""
    for exchange in exchanges:
        if exchange.met & RST_ERRORS:
            gone = client.into({_S.CLOSED})
            after = exchange.asked if gone is None else max(exchange.asked, gone.after)
            before = exchange.done if gone is None else min(exchange.done, gone.before)
            if after > before:
                after, before = exchange.asked, exchange.done
            yield Segment("RST", Side.SERVER, after, before)
            return


def counted(history: History, change: Change, ends: Sequence[Life], known: Sequence[Segment]) -> Segment | None:
    """The RST that made an end vanish: one of the known, or a new one of the only node whose counter OutRsts rose."""
    if change.state is not _S.CLOSED or change.was in (_S.TIME_WAIT, _S.FIN_WAIT2):
        return None
    counters = Counters(history.counters)
    period = float(history.begin.get("period", 0.05))
    rose = [
        life
        for life in ends
        if life.node and counters.rise(life.node, "OutRsts", change.after - period, change.before + period)
    ]
    if len(rose) != 1:
        return None
    note = f"the counter OutRsts of {rose[0].node} rose"
    found = next((one for one in known if one.sender is rose[0].side and near(one, change)), None)
    return found or Segment("RST", rose[0].side, change.after, change.before, note)
