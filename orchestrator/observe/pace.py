"""How long the probe waits between two ticks: what observing may cost."""

from __future__ import annotations

_BUSY_SHARE = 0.25
"""The most of one core that sampling may take, in any case."""

_BESIDE_A_TRACE = 0.04
_A_NODE = 0.001
"""While the kernel's trace tells every transition, samples add queues and owners, and are the second witness should
the trace prove incomplete. Then they may take this much of a core, and this much more for each node: reading a node
costs something also when nothing happens there."""

_LONGEST = 4
"""Periods that a trace may make of one: should samples be needed alone, the gaps must not be wide."""


def until_next(period: float, took: float, cpu: float, *, nodes: int, traced: bool) -> float:
    """Seconds from the start of a tick that took `took` s, `cpu` s of them on a processor, to the start of the next.

    With small tables that is the period. With huge ones it grows, and the recording shows it.
    """
    pause = max(period, took / _BUSY_SHARE)
    if not traced:
        return pause
    spared = cpu / (_BESIDE_A_TRACE + _A_NODE * nodes)
    return max(pause, min(spared, _LONGEST * period))
