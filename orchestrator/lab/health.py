"""Health checks of node kinds: the command of a Compose file's `healthcheck`, run inside the node until it passes.

The engine checks foreign images by itself. A check of a kind ends when it has passed once: what it does in a node is
traffic of nobody's scenario.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.runtimes.base import ExecResult
from orchestrator.topology.model import Healthcheck

Execute = Callable[[tuple[str, ...], float], ExecResult]
"""Runs a command inside the node, for so many seconds at most."""

_SHELL = ("/bin/sh", "-c")
_TAIL = 5
"""Lines of a check's output that an error shows."""


@dataclass(slots=True)
class Health:
    """The check of one node, as Compose counts: `retries` failures in a row make it unhealthy, those of `start_period`
    aside, which begins with this object."""

    check: Healthcheck
    execute: Execute
    clock: Callable[[], float] = time.monotonic
    healthy: bool = False
    failures: int = 0
    said: list[str] = field(default_factory=list)
    """How the last check ended, and the last lines that it printed."""
    _next: float = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._next = self.clock()

    @property
    def unhealthy(self) -> bool:
        return not self.healthy and self.failures >= max(1, self.check.retries)

    @property
    def command(self) -> tuple[str, ...]:
        """What is run: CMD-SHELL by a shell."""
        how, *words = self.check.test
        return (*_SHELL, words[0]) if how == "CMD-SHELL" else tuple(words)

    def look(self, deadline: float) -> bool:
        """Run the check if it is due; whether it has passed. `deadline`: when it must have ended, on `clock`."""
        now = self.clock()
        if self.healthy or self.unhealthy or now < self._next:
            return self.healthy
        result = self.execute(self.command, max(0.01, min(self.check.timeout or deadline - now, deadline - now)))
        self.healthy = result.status == 0
        self._next = self.clock() + self.check.interval
        if not self.healthy:
            self.failures += now - self._began >= self.check.start_period
            self.said = [f"it {result.how}", *result.output.splitlines()[-_TAIL:]]
        return self.healthy

    @property
    def trouble(self) -> str:
        """Why the node is not healthy."""
        shown = " ".join(self.check.test[1:])
        how = f": {self.said[0]}" if self.said else ""
        return f"its healthcheck `{shown}` does not pass{how}"
