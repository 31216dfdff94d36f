"""Packets of a connection that a fault took on their way. Each is in the recording, so it is surely lost."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import Sent
from orchestrator.analysis.ladder.order import Item
from orchestrator.analysis.ladder.packetnotes import MoreTaken, Taken
from orchestrator.analysis.ladder.segment import Segment
from orchestrator.history.model import Connection, History, Side
from orchestrator.recording.events import Event

_NEAR = 0.001
"""Seconds. The trace reports a segment just before or after it was sent; the rule when it came to it."""

_LATER = 0.1
"""Seconds. On a busy machine the rule comes to it later. No segment without data is sent again so soon."""

_EXACT = 0.005
"""Seconds. Where a segment is only known to be of a longer interval, it may be another one than was taken."""

_SHOWN = 12
"""More than these that no other row tells of are a row together."""


class TakenPackets:
    """Those of one connection, which segments of a ladder are matched with."""

    def __init__(self, connection: Connection, history: History, until: float) -> None:
        here, there = connection.client_pair, connection.server_pair
        self._side = {here: Side.CLIENT, there[::-1]: Side.CLIENT, there: Side.SERVER, here[::-1]: Side.SERVER}
        begun = connection.opened[0] - _NEAR
        self._taken = [
            event
            for event in history.filtered
            if (event["local"], event["peer"]) in self._side and begun <= event["t"] <= min(until, _over(connection))
        ]
        self._left = list(self._taken)

    def mark(self, segment: Segment) -> None:
        """Whether a fault took a segment: it is lost then, and says by what."""
        if segment.by is not None or segment.before - segment.after > _EXACT:
            return
        found = [event for event in self._left if self._is(event, segment)]
        if found:
            event = min(found, key=lambda one: abs(float(one["t"]) - segment.before))
            self._left.remove(event)
            segment.lost, segment.note = True, _note(event)

    def told_by(self, side: Side, t: float) -> str | None:
        """The step whose fault refused a packet of that end by an ICMP message just before `t`."""
        for event in self._taken:
            icmp = event["verdict"] not in ("drop", "reset") and self._sender(event) is side
            if icmp and -_NEAR <= t - float(event["t"]) <= _LATER:
                return str(event["step"])
        return None

    @property
    def refused_syn(self) -> str | None:
        """The step whose fault refused the SYN, and told the client."""
        refused = (event for event in self._taken if _flags(event) is Flags.SYN and event["verdict"] != "drop")
        return next((str(event["step"]) for event in refused), None)

    def rows(self) -> Iterator[Item]:
        """Those that no segment was found to be: data, mostly, of which no row tells that it was sent."""
        for event in self._left[:_SHOWN]:
            t, flags = float(event["t"]), _flags(event)
            item = Item(RowKind.SEGMENT, t, t, Sent(flags), self._sender(event), lost=True, flags=flags)
            item.notes.append(_note(event))
            yield item
        if rest := self._left[_SHOWN:]:
            yield Item(RowKind.NODE, rest[0]["t"], rest[-1]["t"], MoreTaken(len(rest)))

    def _is(self, event: Event, segment: Segment) -> bool:
        flags = _flags(event)
        alike = flags is segment.flags or (flags.has_fin and segment.flags.has_fin)
        later = _NEAR if flags is Flags.DATA else _LATER
        in_time = segment.after - _NEAR <= event["t"] <= segment.before + later
        return alike and in_time and self._sender(event) is segment.sender

    def _sender(self, event: Event) -> Side:
        return self._side[event["local"], event["peer"]]


def _over(connection: Connection) -> float:
    """Until when packets of its addresses are its own."""
    return max((end.intervals[-1].last for end in connection.ends), default=0.0) + _NEAR


def _note(event: Event) -> Taken:
    return Taken(event["step"], event["verdict"], int(event["len"]))


def _flags(event: Event) -> Flags:
    flags = str(event.get("flags") or "")
    if "R" in flags:
        return Flags.RST
    if "F" in flags:
        return Flags.FIN
    if "S" in flags:
        return Flags.SYN_ACK if "." in flags else Flags.SYN
    return Flags.DATA if event["len"] else Flags.ACK
