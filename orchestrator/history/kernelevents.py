"""What the kernel's trace means. A recording has what the kernel reported, undecided. Here each event gets its node,
and what the kernel does not say in one event is put together from several.

Recordings of format 1 have the result of these steps, as the recorder took them then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from orchestrator.history.accepts import name_accepted
from orchestrator.history.minisockets import placed, recognised
from orchestrator.history.moves import NO_MOVES, Moves
from orchestrator.history.nat import NO_NAT, Translations
from orchestrator.history.orphans import without_orphans
from orchestrator.history.resets import complete_resets
from orchestrator.recording.events import Event

KINDS = ("state", "destroy", "rst", "rst_received", "retransmit", "minisocket", "timer", "other")
"""Kinds of lines that tracing adds to a recording, in any format; `traced`, at its end, aside."""

_NAMED_LATER = ("state", "rst")
"""What may be of a socket that has no address of its own yet, or of a listening one."""


def understood(
    lines: Iterable[Event],
    node_of: Callable[[str], str | None],
    translations: Translations = NO_NAT,
    segments: Iterable[Event] = (),
    moves: Moves = NO_MOVES,
) -> list[Event]:
    """The events of the lab's sockets in order of time, each with its `node`; a `minisocket` for what became of each.

    `lines`: of a recording; those that are not of the trace are passed over. `node_of`: address -> node.
    `translations`: what NATs did. `segments`: the lines `segment`, where none is missing. `moves`: addresses that more
    than one node had.
    """
    in_order = sorted((line for line in lines if line["ev"] in KINDS), key=itemgetter("t"))
    node_at = _Nodes(node_of)
    named = map(_reasoned, moves.named(drained(in_order), node_at))
    ours = (line for line in named if line.get("node") != "" or line["ev"] in _NAMED_LATER)
    events = placed(name_accepted(recognised(ours)))
    return complete_resets(without_orphans(events), node_of, translations, segments, moves)


class _Nodes(dict[str, str]):
    """Address with port -> node, empty for none. Each is looked up once: a connection has a dozen lines."""

    def __init__(self, node_of: Callable[[str], str | None]) -> None:
        super().__init__()
        self._node_of = node_of

    def __missing__(self, address: str) -> str:
        self[address] = self._node_of(address.rpartition(":")[0]) or ""
        return self[address]


def _reasoned(line: Event) -> Event:
    return line | {"reason": line.get("reason") or ""} if line["ev"] == "rst" else line


def drained(items: list[Event]) -> Iterator[Event]:
    """The items of a list, which is empty in the end: each can be forgotten once it was used."""
    items.reverse()
    while items:
        yield items.pop()
