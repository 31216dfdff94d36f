"""One segment between two ends, as a ladder knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.analysis.ladder.ends import Change
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.notes import Note
from orchestrator.history.model import Side

UNDER_WAY = 0.25
"""Seconds within which a segment and what it brings about are shown as one."""


@dataclass(slots=True, eq=False)
class Segment:
    """A segment that one end sent inside [after, before], and the changes at either end that it stands for."""

    flags: Flags
    sender: Side
    after: float
    before: float
    note: Note | None = None
    retransmission: bool = False
    lost: bool = False
    """The other end surely did not notice it."""
    reason: str = ""
    """The kernel's name for why it sent a RST."""
    changes: list[Change] = field(default_factory=list)
    by: str | None = None
    """The node between the two ends that sent it, as if it were `sender`."""


def near(segment: Segment, change: Change) -> bool:
    """Whether they overlap, or nearly so."""
    return segment.after - UNDER_WAY <= change.before and change.after <= segment.before + UNDER_WAY
