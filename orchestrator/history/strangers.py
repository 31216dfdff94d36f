"""Sockets in the trace that are not of the lab: the kernel's trace shows addresses and no network namespace, and other
programs of the machine may use the lab's addresses in namespaces of their own.

The witness is the wire: nothing is set up through the lab's networks whose SYN did not enter them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from orchestrator.history.nat import Translations
from orchestrator.history.segments import MARGIN, Pair, Wire
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import node_at
from orchestrator.tcp.states import TcpState

_SHOWN = 3


def strangers(
    states: Iterable[Event],
    *,
    wire: Wire,
    addresses: Mapping[str, str],
    translations: Translations,
    sampled: Collection[tuple[str, str, str]],
) -> set[Pair]:
    """Address pairs of sockets that shook hands with somebody, but not on the lab's networks.

    `states`: the `state` events; `wire`: all segments that opened connections in the lab; `addresses`: address -> node;
    `sampled`: node, local and peer address of sockets that were in a table of ours.
    """
    found = set()
    for event in states:
        if event["new"] != TcpState.ESTABLISHED:
            continue  # nobody may ever have answered
        node, local, peer, t = event["node"], event["local"], event["peer"], float(event["t"])
        pairs = ((local, peer), (peer, local))
        if pairs[0] in found or any(wire.last(pair, t + MARGIN) for pair in pairs):
            continue
        itself = node_at(peer, node, addresses) == node  # over its loopback
        translated = translations.peer_pair(local, peer, t) != pairs[1]
        if not itself and not translated and (node, local, peer) not in sampled:
            found.add(pairs[0])
    return found


def of_the_lab(events: Iterable[Event], foreign: Collection[Pair]) -> list[Event]:
    """The events without those of foreign address pairs, as either end has them."""
    return [
        event
        for event in events
        if (event["local"], event["peer"]) not in foreign and (event["peer"], event["local"]) not in foreign
    ]


def words(foreign: Collection[Pair]) -> Iterator[str]:
    """A note for the reader of a report, where there are any."""
    if not foreign:
        return
    shown = ", ".join(f"{local} <-> {peer}" for local, peer in islice(sorted(foreign), _SHOWN))
    more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
    yield (
        f"other programs of this machine use the lab's addresses in network namespaces of their own ({shown}{more}): "
        "no SYN of these entered the lab's networks, so they are left out"
    )
