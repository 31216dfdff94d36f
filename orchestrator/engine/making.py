"""Containers that are being made by threads, so that whoever tidies up finds each of them whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import EnvironmentFailure


class Making:
    """The threads count themselves: an interrupt of the main thread can fall between a submit and the note of its
    future, and then nobody would wait for the container that this future makes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """Around the making and the recording of a container. Raises EnvironmentFailure once `close` was called."""
        with self._changed:
            if self._closed:
                raise EnvironmentFailure(f"{what} was not started: the lab is going down")
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """From here on nothing is begun."""
        with self._changed:
            self._closed = True

    def wait(self, timeout: float) -> None:
        """Until nothing is under way any more. In seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, timeout)
