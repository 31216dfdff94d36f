"""Packets of a connection that a fault took on their way. Each is in the recording, so it is surely lost."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import MoreTaken, Sent, Taken
from orchestrator.analysis.ladder.order import Item
from orchestrator.analysis.ladder.segment import Segment
from orchestrator.history.model import Connection, History, Side
from orchestrator.recording.events import Event

_BEFORE, _AFTER = 0.002, 0.01
"""Seconds. The trace reports a segment just before or after it was sent; the rule when it came to it."""

_SHOWN = 12
"""More than these that no other row tells of are a row together."""


class TakenPackets:
    """Those of one connection, which segments of a ladder are matched with."""

    def __init__(self, connection: Connection, history: History, until: float) -> None:
        here, there = connection.client_pair, connection.server_pair
        self._side = {here: Side.CLIENT, there[::-1]: Side.CLIENT, there: Side.SERVER, here[::-1]: Side.SERVER}
        begun = connection.opened[0] - _BEFORE
        self._left = [
            event
            for event in history.filtered
            if (event["local"], event["peer"]) in self._side and begun <= event["t"] <= min(until, _over(connection))
        ]

    def mark(self, segment: Segment) -> None:
        """Whether a fault took a segment: it is lost then, and says by what."""
        for event in self._left:
            if segment.by is None and self._is(event, segment):
                self._left.remove(event)
                segment.lost, segment.note = True, _note(event)
                return

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
        in_time = segment.after - _BEFORE <= event["t"] <= segment.before + _AFTER
        return alike and in_time and self._sender(event) is segment.sender

    def _sender(self, event: Event) -> Side:
        return self._side[event["local"], event["peer"]]


def _over(connection: Connection) -> float:
    """Until when packets of its addresses are its own."""
    return max((end.intervals[-1].last for end in connection.ends), default=0.0) + _AFTER


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
