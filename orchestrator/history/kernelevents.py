"""What the kernel's trace means. A recording has what the kernel reported, undecided. Here each event gets its node,
and what the kernel does not say in one event is put together from several.

Recordings of format 1 have the result of these steps, as the recorder took them then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.history.accepts import name_accepted
from orchestrator.history.minisockets import placed, recognised
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
) -> list[Event]:
    """The events of the lab's sockets in order of time, each with its `node`; a `minisocket` for what became of each.

    `lines`: of a recording; those that are not of the trace are passed over. `node_of`: address -> node.
    `translations`: what NATs did. `segments`: the lines `segment`, where none is missing.
    """
    in_order = sorted((line for line in lines if line["ev"] in KINDS), key=lambda line: float(line["t"]))
    named = (_named(line, node_of) if "local" in line else line for line in in_order)
    ours = (line for line in named if line.get("node") != "" or line["ev"] in _NAMED_LATER)
    events = placed(name_accepted(recognised(ours)))
    return complete_resets(without_orphans(events), node_of, translations, segments)


def _named(line: Event, node_of: Callable[[str], str | None]) -> Event:
    """With the node that has the local address; empty for 0.0.0.0, of which that has to be found out."""
    named = line | {"node": node_of(line["local"].rpartition(":")[0]) or ""}
    return named | {"reason": line.get("reason") or ""} if line["ev"] == "rst" else named
