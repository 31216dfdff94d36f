"""Every transition of every TCP socket of the lab, from kernel tracepoints.

While the run goes on only raw pages are taken from the ring; they are decoded when the run is over, so observing costs
the observed as little as may be. What is emitted then is one line an event (recording/lines.py, from FromTrace on).
"""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from orchestrator.observe.trace.decode import Decoder
from orchestrator.observe.trace.tracefs import RECORDS, Instance
from orchestrator.recording.events import Event

_PAGE = 1 << 16


class Tracer:
    """Collects raw pages of a private instance from `start` on; `finish` turns them into event lines."""

    def __init__(self, addresses: Container[str], records: Path = RECORDS) -> None:
        """`addresses`: those of the lab, as they are at the end; other sockets are left out."""
        self._instance = Instance.create(records)
        try:
            self._pipes = self._instance.raw_pipes()
            formats = self._instance.formats()
        except BaseException:
            self._instance.close()
            raise
        self._decoder = Decoder(formats, addresses)
        self._pages: list[list[bytes]] = [[] for _ in self._pipes]

    def start(self) -> None:
        """From here on the kernel reports."""
        self._instance.start()

    @property
    def pipes(self) -> list[int]:
        """Descriptors to poll: readable when anything is in the ring of their CPU."""
        return self._pipes

    def take(self) -> bool:
        """Move what is in the ring into memory: a read per page, nothing is looked at. Returns whether it had any."""
        found = False
        for fd, pages in zip(self._pipes, self._pages, strict=True):
            while True:
                try:
                    page = os.read(fd, _PAGE)
                except BlockingIOError:
                    break
                if not page:
                    break
                pages.append(page)
                found = True
        return found

    def finish(self, zero: float) -> list[Event]:
        """Stop, take the rest; all events in order of time. `zero`: what `time.monotonic()` was at t = 0, s."""
        self._instance.stop()
        self.take()
        lost = self._instance.lost()
        events = self._decoder.decode(self._pages, zero)
        self._pages = []
        counts: dict[str, int] = {}
        for event in events:
            counts[event["ev"]] = counts.get(event["ev"], 0) + 1
        last = events[-1]["t"] if events else 0.0
        loopback = dict(self._decoder.loopback)
        return [*events, {"t": last, "ev": "traced", "lost": lost, "counts": counts, "loopback": loopback}]

    def close(self) -> None:
        """Close the pipes and remove the instance. Safe to call twice."""
        for fd in self._pipes:
            os.close(fd)
        self._pipes = []
        self._instance.close()
