"""What a mapping of a Compose file may have: keys.py has a table for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from orchestrator.text.record import record


@record
class KeyTable:
    """The keys of one mapping. `what` names the mapping in messages, `prefix` goes before its keys there."""

    what: str
    read: Mapping[str, str]
    """Key -> what it means."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Key -> why it has no meaning in a lab; each gives a note."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Key -> why, and what to write instead; each is an error."""
    prefix: str = ""
