"""A hop of a matrix in words, a short text for each column of its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.analysis.hops import NOBODY, Hop

HEADERS = ("idle for", "closed by", "with", "Keep-Alive", "TIME_WAIT", "answers")


def columns(hop: Hop) -> list[str]:
    """The facts of a hop as text, as HEADERS names them."""
    return [
        _idle(hop),
        _closers(hop),
        _counted({kind.upper(): count for kind, count in hop.by.items()}),
        _advertised(hop),
        _counted(hop.time_wait),
        _requests(hop),
    ]


def _closers(hop: Hop) -> str:
    """A connection that stayed open says nothing where others were closed."""
    closed = Counter({closer: count for closer, count in hop.first_closer.items() if closer != NOBODY})
    return _counted(closed or hop.first_closer)


def _idle(hop: Hop) -> str:
    """`5s`; `server 5s, client 0s` where both closed."""
    if len(hop.idle) > 1:
        return ", ".join(f"{closer} {_span(seconds)}" for closer, seconds in hop.idle.items())
    return next((_span(seconds) for seconds in hop.idle.values()), "-")


def _span(seconds: Sequence[float]) -> str:
    low, high = (f"{each:.2f}s" for each in (min(seconds), max(seconds)))
    return low if low == high else f"{low} to {high}"


def _counted(counts: Mapping[str, int]) -> str:
    """`server`; `server 3, client 1` where it was not always the same."""
    if len(counts) > 1:
        return ", ".join(f"{name} {count}" for name, count in Counter(counts).most_common())
    return next(iter(counts), "-")


def _advertised(hop: Hop) -> str:
    """What the first response said, with dots where a later one said something else: `timeout=5, max=100 ...`."""
    first, *others = hop.advertised or [""]
    return f"{first or 'none'}{' ...' if others else ''}" if hop.advertised else "-"


def _requests(hop: Hop) -> str:
    """`6x200, 1xRemoteDisconnected`: one word each, so that no line is broken inside."""
    parts = [f"{count}x{name}" for counts in (hop.answered, hop.errors) for name, count in counts.most_common()]
    parts += [f"{hop.repeated} repeated"] if hop.repeated else []
    return ", ".join(parts) or "-"
