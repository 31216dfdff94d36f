"""How containers ended, from the engine's event stream: `auto_remove` leaves nothing to inspect."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.engine.client import engine_errors
from orchestrator.runtimes.base import Exited

if TYPE_CHECKING:
    from docker import APIClient

_EXIT_BY_SIGNAL = 128
"""The engine reports death by signal n as exit code 128 + n."""
_SIGNALS = 64


def exited(code: int) -> Exited:
    """What an exit code of the engine means."""
    if _EXIT_BY_SIGNAL < code <= _EXIT_BY_SIGNAL + _SIGNALS:
        return Exited(signal=code - _EXIT_BY_SIGNAL)
    return Exited(status=code)


class Deaths:
    """Listens, in a thread of its own, for the end of containers that carry a label (`key=value`)."""

    def __init__(self, client: APIClient, label: str) -> None:
        self._changed = threading.Condition()
        self._ends: dict[str, Exited] = {}
        self._over = False
        with engine_errors("cannot listen to the engine's events"):
            # `since`: the engine subscribes us a moment after it answered.
            self._events: Any = client.events(since=int(time.time()), filters={"label": label, "event": ["die"]})
        self._listener = threading.Thread(target=self._listen, name="docker-events", daemon=True)
        self._listener.start()

    def wait(self, container: str, timeout: float) -> Exited | None:
        """How the container ended; None when that is not known within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: container in self._ends or self._over, timeout)
            return self._ends.get(container)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._events.close()
        self._listener.join(timeout=5)

    def _listen(self) -> None:
        with contextlib.suppress(Exception):  # cut by close(), or by the engine's end: nothing more will be known
            for line in _lines(self._events):
                event = json.loads(line)
                with self._changed:
                    self._ends[event["id"]] = exited(int(event["Actor"]["Attributes"]["exitCode"]))
                    self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()


def _lines(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Whole lines out of chunks that end anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
