"""Responses that nobody reads to their end: what a program does that forgets them."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

R = TypeVar("R")


class Held(Generic[R]):
    """Responses by the session that they are of. As long as one is referenced, its library keeps its connection."""

    def __init__(self) -> None:
        self._responses: dict[int, list[R]] = {}
        self._lock = threading.Lock()

    def keep(self, session: object, response: R) -> None:
        with self._lock:
            self._responses.setdefault(id(session), []).append(response)

    def let_go(self, session: object) -> list[R]:
        """Those of a session, which are no longer kept."""
        with self._lock:
            return self._responses.pop(id(session), [])
