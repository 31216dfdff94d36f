"""What NATs on the way make of the addresses of a connection, so that its two ends can be found together.

A client's end is C:p -> N:8080, and the server's S:8080 <- N':q, where a NAT has the addresses N and N'. What relates
them is the flow in its table: C:p -> N:8080 leaves as N':q -> S:8080. Several NATs make a chain of flows. Ports are
used again, so one pair of addresses can be several flows, one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from orchestrator.history.lifetimes import up
from orchestrator.history.model import Connection, Flow, Socket
from orchestrator.recording.events import Event
from orchestrator.text.record import record

_Pair = tuple[str, str]
_Onward = Callable[[Flow], _Pair]


@record
class NatPath:
    """How an end's connection passes through NATs."""

    flows: tuple[Flow, ...]
    """From the client to the server; one or more."""
    from_client: bool
    """Whether the end is the client's."""
    peer_pair: _Pair
    """Local and peer address, as the other end has them."""

    def expired_at(self, t: float) -> str | None:
        """The NAT whose entry had expired by then, the nearest to the end if several; None when none had."""
        nearest_first = self.flows if self.from_client else self.flows[::-1]
        return next((flow.node for flow in nearest_first if flow.ended is not None and flow.ended[0] < t), None)


def flows_of(events: Iterable[Event]) -> list[Flow]:
    """The flows that `nat` lines show, in order of their beginning. `events` are in order of time, node by node."""
    found: list[Flow] = []
    open_now: dict[tuple[str, _Pair, _Pair], int] = {}
    replaced: set[tuple[str, _Pair, _Pair]] = set()
    for event in events:
        original, translated = (event["source"], event["destination"]), (event["new_source"], event["new_destination"])
        key, when = (event["node"], original, translated), (float(event["after"]), float(event["t"]))
        if event["what"] == "new":
            if key in open_now:  # the end of the one before is told after: its port was used again at once
                replaced.add(key)
            open_now[key] = len(found)
            found.append(Flow(event["node"], original, translated, when))
        elif key in replaced:
            replaced.remove(key)
        elif key in open_now:
            number = open_now.pop(key)
            found[number] = replace(found[number], ended=when)
    return found


def expired(flow: Flow, connection: Connection) -> bool:
    """Whether the entry of the NAT surely expired while neither end had closed it. A NAT often notices only when a
    segment comes for it: one that answers with a RST of its own had no entry any more."""
    if flow.ended is None or connection.closed is None:
        return flow.ended is not None
    if connection.closing.by == flow.node:
        return flow.ended[0] <= connection.closed[1]
    return flow.ended[1] <= connection.closed[0]


class Translations:
    """Finds the NAT path of an end by its addresses and a time at which it was there."""

    def __init__(self, flows: Iterable[Flow] = ()) -> None:
        self._by_original: dict[_Pair, list[Flow]] = defaultdict(list)
        self._by_translated: dict[_Pair, list[Flow]] = defaultdict(list)
        for flow in sorted(flows, key=_begun):
            self._by_original[flow.original].append(flow)
            self._by_translated[flow.translated].append(flow)

    @property
    def any(self) -> bool:
        """Whether there are NATs at all."""
        return bool(self._by_original)

    def nat_path(self, local: str, peer: str, t: float) -> NatPath | None:
        """None when no NAT is known that has to do with it. `t`: a time after its SYN had come through."""
        ahead = self._chain((local, peer), t, self._by_original, lambda flow: flow.translated)
        if ahead:
            source, destination = ahead[-1].translated
            return NatPath(tuple(ahead), True, (destination, source))
        behind = self._chain((peer, local), t, self._by_translated, lambda flow: flow.original)
        return NatPath(tuple(reversed(behind)), False, behind[-1].original) if behind else None

    def peer_pair(self, local: str, peer: str, t: float) -> _Pair:
        """Local and peer address as the other end has them, NAT or not."""
        nat_path = self.nat_path(local, peer, t) if self._by_original else None
        return nat_path.peer_pair if nat_path else (peer, local)

    def of(self, socket: Socket) -> NatPath | None:
        """The NAT path of a socket."""
        if not self._by_original:
            return None
        return self.nat_path(socket.local, socket.peer, up(socket))

    def _chain(self, pair: _Pair, t: float, index: dict[_Pair, list[Flow]], onward: _Onward) -> list[Flow]:
        chain: list[Flow] = []
        while (flow := _at(index.get(pair, ()), t)) is not None and flow not in chain:
            chain.append(flow)
            pair = onward(flow)
        return chain


def _at(flows: Sequence[Flow], t: float) -> Flow | None:
    """The flow of one pair of addresses at `t`: the last that may have begun by then."""
    position = bisect_right(flows, t, key=_begun)
    return flows[position - 1] if position else None


def _begun(flow: Flow) -> float:
    return flow.began[0]


NO_NAT = Translations()
