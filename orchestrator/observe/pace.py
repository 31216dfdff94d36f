"""How often a lab is looked at: what observing may cost, and what it may leave unseen."""

from __future__ import annotations

from orchestrator.text.record import record

_BUSY_SHARE = 0.25
"""The most of one core that sampling may take, in any case."""

_BESIDE_A_TRACE = 0.04
_A_NODE = 0.001
"""While the kernel's trace reports every transition, samples add queues and owners, and are the second witness should
the trace prove incomplete. Then they may take this much of a core, and this much more for each node: reading a node
costs something also when nothing happens there."""

_LONGEST = 4
"""Periods that a trace may make of one: should samples be needed alone, the gaps must not be wide."""


@record
class Pace:
    """Seconds of the lab's clock, which is `real` or `virtual`."""

    clock: str
    period: float
    """From one tick to the next."""
    quiet: float | None = None
    """With a trace: the most that ticks may be apart while it shows nothing. None: they come whatever happens."""
    check_every: float = 0.25
    """Between two looks at whether the lab is still whole, while a step waits."""


REAL = Pace("real", 0.05)

VIRTUAL = Pace("virtual", 1.0, quiet=3600.0, check_every=60.0)
"""Where waiting is free, looking is what costs: a tick of two nodes takes 10 ms of real time, a hundred times what an
idle second takes."""


class Schedule:
    """When the next tick is due, by the clock of the times that `ticked` gets."""

    def __init__(self, period: float, quiet: float | None) -> None:
        self._period = period
        self._quiet = quiet
        self._pause = period
        self._soonest = 0.0
        self.due = 0.0
        self.awaits_news = False
        """Whether something in the trace would bring the next tick forward."""

    def ticked(self, begun: float, took: float, cpu: float, *, nodes: int, traced: bool, news: bool) -> None:
        """A tick began at `begun`. `news`: something happened since the one before it, or will."""
        pause = until_next(self._period, took, cpu, nodes=nodes, traced=traced)
        self._soonest = begun + pause
        self.awaits_news = traced and self._quiet is not None
        if self._quiet is not None and traced:
            self._pause = pause if news else max(pause, min(2 * self._pause, self._quiet))
            pause = self._pause
        self.due = begun + pause

    def news(self) -> None:
        """Something is in the trace: look soon."""
        self.due = min(self.due, self._soonest)
        self.awaits_news = False


def until_next(period: float, took: float, cpu: float, *, nodes: int, traced: bool) -> float:
    """Seconds from the start of a tick that took `took` s, `cpu` s of them on a processor, to the start of the next.

    With small tables that is the period. With huge ones it grows, and the recording shows it.
    """
    pause = max(period, took / _BUSY_SHARE)
    if not traced:
        return pause
    spared = cpu / (_BESIDE_A_TRACE + _A_NODE * nodes)
    return max(pause, min(spared, _LONGEST * period))
