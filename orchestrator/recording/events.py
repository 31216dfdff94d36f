"""What writers and readers of `events.jsonl` share. The lines themselves are described in lines.py, field by field, and
on the page docs/recording.md, which is made from it.

This module is imported by the probe, in containers too: it needs nothing that is not there.
"""

from __future__ import annotations

from typing import Any

FORMAT = 2
"""Raised when a reader of the old format would misread the new one. Format 2 has what the kernel's trace reported, as
it is; format 1 had what the recorder made of it (format1.py)."""

TCPEXT_EVERY = 1.0
"""Seconds: the `TcpExt` group is read at the first tick that comes this long after the last reading, and at every
named moment. A reader must not take the tick that shows a new value for the tick in which it changed."""

Event = dict[str, Any]
"""One decoded line."""


def raw_outcome(event: Event) -> str:
    """How an exchange of a step `raw` ended: `done`, or the name of the error."""
    error = event.get("error")
    return str(error.get("name", "error")) if error else "done"


def begun(event: Event) -> float:
    """When a request began, seconds of the run; when it ended, where the client does not tell."""
    return float(event["t"] if event.get("t0") is None else event["t0"])


def answered(event: Event) -> str:
    """What a `request` or `served` got or gave: an HTTP status, or what a data store answered; empty for neither."""
    status = event.get("status")
    return str(event.get("answer") or "") if status is None else str(status)
