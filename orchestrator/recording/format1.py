"""Recordings of format 1. There the recorder had inferred already what lines of the kernel's trace mean: each names its
node, RSTs are complete, timers are `minisocket` lines, and what could not be completed was left out.
"""

from typing import Annotated, Literal, NotRequired

from orchestrator.recording.linefields import Cookie, Doc, Kernel, Line, Local, Node, Peer, State
from orchestrator.recording.lines import LINES


class Traced(Line):
    """What all lines of the trace about a socket have."""

    node: Node
    a: Kernel
    local: Local
    peer: Peer


class StateLine(Traced):
    """A socket changed its state."""

    old: State
    new: State


class Destroy(Traced):
    """A socket was destroyed."""

    sk: Cookie


class Rst(Traced):
    """The node sent a RST."""

    reason: NotRequired[Annotated[str | None, Doc("the kernel's reason")]]
    rule: NotRequired[Annotated[bool | None, Doc("true when its packet filter sent it")]]


class RstReceived(Traced):
    """The node received a RST."""


class Retransmit(Line):
    """The node retransmitted a segment."""

    node: Node
    a: NotRequired[Kernel | None]
    local: Local
    peer: Peer
    state: State


class Minisocket(Traced):
    """What became of a minisocket."""

    what: Literal["born", "rearmed", "expired"]
    old: NotRequired[Annotated[State | None, Doc("the state that its full socket left")]]


LINES_OF_FORMAT_1: dict[str, type] = {
    **{ev: kind for ev, kind in LINES.items() if ev not in ("timer", "other")},
    "state": StateLine,
    "destroy": Destroy,
    "rst": Rst,
    "rst_received": RstReceived,
    "retransmit": Retransmit,
    "minisocket": Minisocket,
}
"""`ev` -> the type of its lines."""
