"""What a ladder tells of the end of the recording, and of what is left then."""

from __future__ import annotations

from orchestrator.analysis.ladder.notes import Note
from orchestrator.text.record import record


@record
class RunEnds(Note):
    """`outcome`: `done`, `failed`, `interrupted`; None when the recording breaks off."""

    outcome: str | None


@record
class TimeWaitToGo(Note):
    """How long a TIME_WAIT would have gone on."""

    node: str | None
    seconds: float


@record
class CloseWaitStays(Note):
    """Until the node's program closes."""

    node: str | None


@record
class FinWait2Stays(Note):
    """A sample shows that it has an owner and no timer, so nothing ends it but the node's program, or its peer."""

    node: str | None
