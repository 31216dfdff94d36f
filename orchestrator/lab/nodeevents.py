"""What happens to the nodes of a lab, as lines of its recording: what their programs report, and what befalls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.observe.session import Session
from orchestrator.recording.events import Event
from orchestrator.runtimes.base import Exited


class NodeEvents:
    """Writes into the session's recording. `logs`: folder of the nodes' logs, for what a note names."""

    def __init__(self, session: Session, logs: Path) -> None:
        self._session = session
        self._logs = logs
        self._expected_ends: set[str] = set()

    def expects_end(self, name: str) -> bool:
        """Whether that node is ended on purpose."""
        return name in self._expected_ends

    def expect_end(self, *names: str) -> None:
        """These nodes are ended on purpose."""
        self._expected_ends.update(names)

    def expect_no_end(self, *names: str) -> None:
        """From here on an end of these nodes is a surprise again."""
        self._expected_ends.difference_update(names)

    def happened(self, name: str, what: str, **detail: Any) -> None:
        """A `node` line. Details that are None are left out."""
        known = {key: value for key, value in detail.items() if value is not None}
        self._session.write({"ev": "node", "node": name, "what": what, "detail": known})

    def reported(self, name: str, event: Event) -> None:
        """From a node's reader thread: onto the recording's clock."""
        if event["ev"] == "exited":
            self._exited(name, Exited(event.get("status"), event.get("signal")))
            return
        for key in ("t", "t0"):
            if isinstance(event.get(key), int | float):
                event[key] = self._session.on_our_clock(event[key])
        event["node"] = name
        self._session.write(event)

    def _exited(self, name: str, how: Exited) -> None:
        expected = name in self._expected_ends
        self.happened(name, "ended" if expected else "exited", status=how.status, signal=how.signal)
        if not expected:
            log = Path(self._logs.name, f"{name}.log")
            self._session.note(f"{name}'s program ended by itself at {self._session.now():.2f}s ({how}); see {log}")
