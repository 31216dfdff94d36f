"""Sockets in the trace that are not of the lab: the kernel's trace shows addresses and no network namespace, and other
programs of the machine may use the lab's addresses in namespaces of their own.

The witness is the wire: nothing is set up through the lab's networks whose SYN did not enter them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from orchestrator.history.nat import Translations
from orchestrator.history.segments import MARGIN, Pair, Wire
from orchestrator.history.tracedlife import TracedLife
from orchestrator.recording.events import Event
from orchestrator.tcp.addresses import node_at
from orchestrator.tcp.states import TcpState

_SHOWN = 3


def strangers(
    lives: Iterable[TracedLife],
    wire: Wire,
    addresses: Mapping[str, str],
    translations: Translations,
    sampled: Collection[str],
) -> set[Pair]:
    """Address pairs of sockets that shook hands with somebody, but not on the lab's networks. `wire`: all segments that
    opened connections there; `addresses`: address -> node; `sampled`: cookies of sockets that were in a table of ours.
    """
    found = set()
    for life in lives:
        accepted = life.changes[0][1] is TcpState.SYN_RECV
        if not accepted and life.entered(TcpState.ESTABLISHED) is None:
            continue  # nobody may ever have answered
        if life.cookie in sampled or node_at(life.peer, life.node, addresses) == life.node:  # itself: over its loopback
            continue
        there = translations.peer_pair(life.local, life.peer, life.up)
        pairs = ((life.local, life.peer), (life.peer, life.local))
        if there == pairs[1] and not any(wire.last(pair, life.up + MARGIN) for pair in pairs):
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
