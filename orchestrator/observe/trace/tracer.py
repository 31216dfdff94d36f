"""Every transition of every TCP socket of the lab, from kernel tracepoints.

While the run goes on only raw pages are taken from the ring; they are decoded when the run is over, so observing costs
the observed as little as may be. What is emitted then is one line an event. `a` names a socket by a number that stands
for its kernel address (addresses are used again: a change to CLOSED ends what `a` names):

| ev | fields |
|---|---|
| `state` | node, a, local, peer, old, new |
| `destroy` | node, a, local, peer, sk |
| `rst` | node (its sender), a (0: no socket), local, peer, reason; rule: true when its packet filter sent it |
| `rst_received` | node, a, local, peer, sk |
| `retransmit` | node, a, local, peer, state |
| `minisocket` | what (`born`, `rearmed`, `expired`), node, a (the full socket that it was), local, peer |
| `traced` | lost: events that the ring had no room for; counts: how many of each; loopback: see conservation.py |

A minisocket has no events of its own. Its timer has: `timer_start` with tw_timer_handler, and the same CPU reports the
full socket's CLOSE next (net/ipv4/tcp_minisocks.c, tcp_time_wait).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.observe.trace.decode import Decoder
from orchestrator.observe.trace.tracefs import RECORDS, Instance
from orchestrator.recording.events import Event

if TYPE_CHECKING:
    from orchestrator.history.nat import Translations

_PAGE = 1 << 16


class Tracer:
    """Collects raw pages of a private instance; `decode` turns them into event lines."""

    def __init__(self, node_of: Callable[[str], str | None], clock_zero: float, records: Path = RECORDS) -> None:
        self._instance = Instance.create(records)
        try:
            self._pipes = self._instance.raw_pipes()
            formats = self._instance.formats()
        except BaseException:
            self._instance.close()
            raise
        self._decoder = Decoder(formats, node_of, clock_zero)
        self._pages: list[list[bytes]] = [[] for _ in self._pipes]

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

    def finish(self, translations: Translations | None = None) -> list[Event]:
        """Stop, take the rest, remove the instance; all events in order of time. `translations`: what NATs did."""
        self._instance.stop()
        self.take()
        lost = self._instance.lost()
        self.close()
        events = self._decoder.decode(self._pages, translations)
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
