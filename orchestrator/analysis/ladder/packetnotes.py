"""What a ladder tells of packets that a fault took on their way, as values; see notes.py."""

from __future__ import annotations

from orchestrator.analysis.ladder.notes import Note
from orchestrator.text.record import record


@record
class Taken(Note):
    """A fault took the packet on its way, that of the step: `drop`, `reset`, or the reason of an ICMP message, which
    says what the sender was told. `size`: bytes of data in it."""

    step: str
    verdict: str
    size: int


@record
class ToldByIcmp(Note):
    """An end ended with the ICMP message with which a fault refused its packet."""

    step: str


@record
class FinGivenUp(Note):
    """An end that had closed is gone, though every FIN of it was lost: its kernel sends it no more."""


@record
class MoreTaken(Note):
    """As many more packets of the connection."""

    count: int
