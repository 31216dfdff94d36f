"""What the clients of data stores share: one query and what became of it, as a `request` event."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from commands import Command, CommandError
from events import Event


@dataclass
class Query:
    """One query. `answer` is the store's response as it stands; it has no HTTP status."""

    method: str
    url: str
    t0: float = field(default_factory=time.monotonic)
    answer: str | None = None
    nth: int | None = None
    facts: Mapping[str, str | None] = field(default_factory=lambda: {"local": None, "peer": None, "sk": None})
    error: dict[str, str] | None = None

    def on(self, facts: Mapping[str, str | None], nth: int) -> None:
        """It goes over a connection whose sockets.socket_facts() are `facts`, as the `nth` one."""
        self.facts, self.nth = facts, nth

    def failed(self, name: str, error: BaseException) -> None:
        self.error = {"name": name, "text": " ".join(str(error).split())}

    def event(self) -> Event:
        """The event, at the time at which it ended."""
        return {
            "t0": self.t0,
            "t": time.monotonic(),
            **self.facts,
            "nth": self.nth,
            "reused": self.nth is not None and self.nth > 1,
            "method": self.method,
            "url": self.url,
            "status": None,
            "answer": self.answer if self.error is None else None,
            "error": self.error,
        }


def refuse_http(command: Command) -> None:
    """Raises CommandError for what only HTTP has."""
    for name, given in (("method", command.method != "GET"), ("headers", command.headers), ("body", command.body)):
        if given:
            raise CommandError(f"{name}: a query has none; leave it out")
