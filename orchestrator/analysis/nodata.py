"""Whether any data went over a connection after the last sample that shows it, by what its FINs tell."""

from __future__ import annotations

from bisect import bisect_right

from orchestrator.history.amounts import received, sent
from orchestrator.history.model import SIDES, Connection, History, Side
from orchestrator.history.sampled import NodeTicks


def no_data_since(connection: Connection, history: History, since: float, until: float) -> bool:
    """Whether it is proven that neither end sent data inside (since, until).

    TCP_INFO at the samples tells it as long as an end is a full socket; the sequence number of a FIN tells all that its
    sender ever sent. What ends with a RST before a sample comes has no such witness.
    """
    return all(_none(connection, history, side, since, until) for side in SIDES)


def last_tick(history: History, t: float) -> float | None:
    """The last sample at or before `t`."""
    number = bisect_right(history.ticks, t)
    return history.ticks[number - 1] if number else None


def _none(connection: Connection, history: History, side: Side, since: float, until: float) -> bool:
    nodes = {Side.CLIENT: connection.client_node, Side.SERVER: connection.server_node}
    ends = {Side.CLIENT: connection.client, Side.SERVER: connection.server}
    for amount, witness in ((sent, side), (received, side.other)):
        node = nodes[witness]
        if node is None or ends[witness] is None:
            continue
        ticks = NodeTicks(history.ticks, history.missed.get(node, ()))
        least, most = amount(connection, witness, since, ticks)[0], amount(connection, witness, until, ticks)[1]
        if most <= least:
            return True
    return False
