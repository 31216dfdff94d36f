"""Which ends of connections the kernel counted, and no sample showed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

from orchestrator.history.lifetimes import death
from orchestrator.history.model import Connection, Socket, Unobserved
from orchestrator.tcp.lifecycle import EMBRYONIC
from orchestrator.tcp.states import TcpState

_HANDSHAKE = 1.0
"""Seconds by which one end may think itself connected before the other does: the last ACK may be under way."""


def unobserved_ends(
    connections: Iterable[Connection], unobserved: Iterable[Unobserved]
) -> tuple[dict[str, list[Connection]], list[Unobserved]]:
    """Which connections have an end that the kernel counted but no tick saw, by the node of that end; and what is
    left unseen.

    An end is taken for one of a node's unseen sockets when that one can have lived while the connection came to be.
    An end that was last seen in SYN_RECV, and whose peer got further, is such an end too: it was counted when its
    handshake was finished, and nobody saw that.
    """
    missing: dict[str, list[_Missing]] = defaultdict(list)
    for connection in connections:
        client, server = connection.client, connection.server
        for end, node, other in (
            (client, connection.client_node, server),
            (server, connection.server_node, client),
        ):
            if node is not None and other is not None and _uncounted(end) and connection.opened[0] > -math.inf:
                missing[node].append(_Missing(connection.opened[0], _counted_until(other), connection))
    by_node: dict[str, list[Unobserved]] = defaultdict(list)
    for entry in unobserved:
        by_node[entry.node].append(entry)
    matched: dict[str, list[Connection]] = defaultdict(list)
    left: list[Unobserved] = []
    for node, entries in by_node.items():
        left += _use_up(sorted(entries, key=lambda entry: entry.before), missing.get(node, []), matched[node])
    return dict(matched), left


class _Missing(NamedTuple):
    """A connection with an end that was not seen, or not seen enough, and when the kernel must have counted that."""

    since: float
    until: float
    connection: Connection


def _uncounted(end: Socket | None) -> bool:
    """Whether the end was not seen in any state in which the kernel has counted it."""
    return end is None or (end.intervals[-1].state is TcpState.SYN_RECV and death(end) < math.inf)


def _counted_until(other: Socket) -> float:
    """Until when an end must have been counted, judging by the other one."""
    established = next((interval.first for interval in other.intervals if interval.state not in EMBRYONIC), math.inf)
    return min(death(other), established + _HANDSHAKE)


def _use_up(entries: list[Unobserved], missing: list[_Missing], matched: list[Connection]) -> list[Unobserved]:
    """Takes the earliest interval that fits: since all times only grow, no other choice matches more."""
    used = [0] * len(entries)
    position = 0
    for since, until, connection in sorted(missing, key=itemgetter(0, 1)):
        # Nodes are sampled one after the other: one end may be counted a tick before the other is seen.
        while position < len(entries) and (
            entries[position].before < since or used[position] >= entries[position].most
        ):
            position += 1
        if position < len(entries) and entries[position].after < until:
            used[position] += 1
            matched.append(connection)
    return [_rest(entry, taken) for entry, taken in zip(entries, used, strict=True) if entry.count > taken]


def _rest(entry: Unobserved, taken: int) -> Unobserved:
    least, most = max(0, entry.least - taken), entry.most - taken
    return replace(entry, count=entry.count - taken, least=least, most=most)
