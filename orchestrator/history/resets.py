"""RSTs of which the kernel does not say everything: who sent them, or to whom.

`tcp_send_reset` bears the addresses of the socket that sent the RST. Two kinds of RST have none of their own:
- The answer to a segment that meets a listening socket (a FIN for a connection that is gone): the event has the
  listener's addresses, `0.0.0.0:8080` and no peer.
- Before Linux 6.10, the answer to a segment that meets no socket at all: there is no event.

But one that the peer's socket received is reported by `tcp_receive_reset` too, with both addresses. So a RST that was
received and that no complete event accounts for shows its sender. One that nobody received, because its end was gone
by then, is on the wire all the same: where segments were recorded they name its sender. The counter OutRsts says in the
end whether all were found (history/conservation.py).

Through a NAT the addresses of a RST are others when it is received. And a NAT that has forgotten a connection answers
itself what comes for it: by its own TCP, or by a rule of its packet filter, which neither event nor counter shows.

`tcp_receive_reset` also comes where none was received: a socket whose program is gone gets data, and ends as if a RST
had come, just before it sends one itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.history.moves import NO_MOVES, Moves
from orchestrator.history.segments import FILTER
from orchestrator.recording.events import Event

if TYPE_CHECKING:
    from orchestrator.history.nat import Translations

_UNDER_WAY = 5.0
"""Seconds that a RST may take from node to node: more than a lab's links delay."""

_TOLD_LATE = 0.1
"""Seconds: tcp_send_active_reset() reports a RST when it is sent, which on a veth is after it was received."""

_LEAVES = 0.01
"""Seconds between the event of a RST and its segment: the frame is taken at the far end of a veth pair."""

_ANSWERS = 0.001
"""Seconds. tcp_rcv_state_process() ends such a socket by tcp_reset(), as if a RST had come, and sends one then."""


def whole(reset: Event) -> bool:
    """Whether a `rst` event names both ends."""
    return bool(reset["node"]) and not reset["peer"].endswith(":0")


def complete_resets(
    events: Sequence[Event],
    node_of: Callable[[str], str | None],
    translations: Translations | None = None,
    segments: Iterable[Event] = (),
    moves: Moves = NO_MOVES,
) -> list[Event]:
    """The events, in order of time, with every RST that some node received as one that its peer sent.

    `rst` events that nobody can complete are left out. `node_of`: address -> node. `translations`: what NATs did.
    `segments`: the lines `segment` of the recording, where they are all there. `moves`: addresses that moved.
    """
    on_wire = sorted((segment for segment in segments if "R" in segment["flags"]), key=_time)
    if not on_wire and not any(event["ev"] in ("rst", "rst_received") for event in events):
        return list(events)
    owner = moves.owner(node_of)
    crossed = _times_by_pair(on_wire)
    by_rule = _of_rules(on_wire)
    sent: dict[tuple[str, str], deque[float]] = defaultdict(deque)
    own: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    listeners: dict[str, list[Event]] = defaultdict(list)
    found: list[Event] = []
    for event in events:
        if event["ev"] != "rst":
            continue
        if whole(event):
            found.append(event)
            sent[event["local"], event["peer"]].append(_time(event))
            own[event["a"], event["local"], event["peer"]].append(_time(event))
        else:
            listeners[_port(event["local"])].append(event)
    for event in events:
        if event["ev"] == "rst" or (event["ev"] == "rst_received" and _sends(event, own)):
            continue
        found.append(event)
        if event["ev"] != "rst_received":
            continue
        if _take(by_rule[event["peer"], event["local"]], _time(event)):
            found.append(_sent(event, (FILTER, event["peer"], event["local"]), ()) | {"rule": True})
            continue
        nat_path = translations.nat_path(event["local"], event["peer"], _time(event)) if translations else None
        known = _take(sent[event["peer"], event["local"]], _time(event))
        known = known or (nat_path is not None and _take(sent[nat_path.peer_pair], _time(event)))
        expired_at = nat_path.expired_at(_time(event)) if nat_path else None
        if nat_path and _crossed(crossed[nat_path.peer_pair], _time(event)):
            expired_at = None  # the entry that a RST ends is told as gone since some time before it
        # What a NAT still knew came through it; else the NAT itself has answered.
        local, peer = nat_path.peer_pair if nat_path and not expired_at else (event["peer"], event["local"])
        sender = owner(local, _time(event))
        if known or sender is None:
            continue
        if expired_at not in (None, sender):  # in the name of another node
            found.append(_sent(event, (str(expired_at), local, peer), ()) | {"rule": True})
        else:
            found.append(_sent(event, (sender, local, peer), listeners[_port(local)]))
    found += _unheard(found, listeners, on_wire, lambda segment: _is_own(segment, owner, translations, crossed))
    found.sort(key=_time)
    return found


def _times_by_pair(on_wire: Iterable[Event]) -> Mapping[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for segment in on_wire:
        found[segment["local"], segment["peer"]].append(_time(segment))
    return found


def _of_rules(on_wire: Iterable[Event]) -> dict[tuple[str, str], deque[float]]:
    """Addresses -> times of the RSTs by rules of simctl's own."""
    found: dict[tuple[str, str], deque[float]] = defaultdict(deque)
    for segment in on_wire:
        if segment["node"] == FILTER:
            found[segment["local"], segment["peer"]].append(_time(segment))
    return found


def _unheard(
    known: Sequence[Event],
    listeners: Mapping[str, Sequence[Event]],
    on_wire: Iterable[Event],
    own: Callable[[Event], bool],
) -> Iterator[Event]:
    """RSTs that met no socket any more, by their segments. One of a listening socket has an event without names; that
    of no socket may have none: two segments for a connection that is gone are answered by two, of which the first ends
    the peer's socket. One that a NAT has passed on is seen there as well, and is no other (`own`).

    An event that was used for a RST which its peer did receive is used for no other.
    """
    told: dict[tuple[str, str], list[Event]] = defaultdict(list)
    used: set[tuple[str, float]] = set()
    for event in known:
        if event["ev"] == "rst":
            told[event["local"], event["peer"]].append(event)
            used.add((_port(event["local"]), _time(event)))
    segments = list(on_wire)
    accounted = _accounted(told, segments)
    for segment in segments:
        if id(segment) in accounted or not own(segment):
            continue
        port = _port(segment["local"])
        near = [one for one in listeners[port] if (port, _time(one)) not in used and _at_once(one, segment)]
        if near:
            event = min(near, key=lambda one: abs(_time(one) - _time(segment)))
            used.add((port, _time(event)))
            names = {"node": segment["node"], "local": segment["local"], "peer": segment["peer"]}
            yield event | names | {"a": 0}
        else:
            yield _sent(segment, (segment["node"], segment["local"], segment["peer"]), ())


def _is_own(
    segment: Event,
    owner: Callable[[str, float], str | None],
    translations: Translations | None,
    crossed: Mapping[tuple[str, str], Sequence[float]],
) -> bool:
    """Whether the TCP of the node where a segment was seen has sent it; else a NAT has passed it on, or a packet
    filter has sent it, which no counter shows."""
    local, peer, t = segment["local"], segment["peer"], _time(segment)
    if owner(local, t) != segment["node"]:
        return False
    nat_path = translations.nat_path(peer, local, t) if translations else None
    if nat_path is None or all(flow.node != segment["node"] for flow in nat_path.flows):
        return True
    return nat_path.expired_at(t) == segment["node"] and not _crossed(crossed.get(nat_path.peer_pair, ()), t)


def _crossed(times: Sequence[float], received: float) -> bool:
    """Whether one of these segments can be the RST that was received then. `times` are in order."""
    position = bisect_right(times, received)
    return position > 0 and received - times[position - 1] <= _UNDER_WAY


def _accounted(told: Mapping[tuple[str, str], Sequence[Event]], segments: Iterable[Event]) -> set[int]:
    """`id` of each segment for which an event stands: those that are nearest to each other first, for an address pair
    may be used again soon."""
    pairs = [
        (abs(_time(event) - _time(segment)), id(segment), id(event))
        for segment in segments
        for event in told.get((segment["local"], segment["peer"]), ())
        if _may_be(event, segment)
    ]
    found: set[int] = set()
    taken: set[int] = set()
    for _, segment_id, event_id in sorted(pairs):
        if segment_id not in found and event_id not in taken:
            found.add(segment_id)
            taken.add(event_id)
    return found


def _may_be(event: Event, segment: Event) -> bool:
    """A RST is told when it was sent, which may be before its frame is taken; or, by `_sent`, when it was received."""
    late = _time(event) - _time(segment)
    return -_TOLD_LATE <= late <= _UNDER_WAY


def _at_once(event: Event, segment: Event) -> bool:
    return abs(_time(event) - _time(segment)) <= _LEAVES


def _sends(event: Event, own: Mapping[tuple[int, str, str], Sequence[float]]) -> bool:
    """Whether this is no RST that came: the socket of a program that is gone got data, and is about to answer."""
    t = _time(event)
    return any(0 <= sent - t <= _ANSWERS for sent in own.get((event["a"], event["local"], event["peer"]), ()))


def _sent(received: Event, sender: tuple[str, str, str], listeners: Sequence[Event]) -> Event:
    """The RST that must have been sent for this one to be received: of listeners' RSTs, the last one before it.

    `sender`: node, local and peer address.
    """
    t = float(received["t"])
    position = bisect_right(listeners, t, key=_time)
    known = listeners[position - 1] if position else None
    if known is not None and t - _time(known) > _UNDER_WAY:
        known = None
    return {
        "t": t if known is None else known["t"],
        "ev": "rst",
        "node": sender[0],
        "a": 0,
        "local": sender[1],
        "peer": sender[2],
        "reason": "" if known is None else known["reason"],
    }


def _take(times: deque[float], t: float) -> bool:
    """Take the RST out that was received at `t`, if it is there."""
    while times and t - times[0] > _UNDER_WAY:
        times.popleft()
    if times and times[0] <= t + _TOLD_LATE:
        times.popleft()
        return True
    return False


def _time(event: Event) -> float:
    return float(event["t"])


def _port(address: str) -> str:
    return address.rpartition(":")[2]
