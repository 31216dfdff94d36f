"""What simctl says of a run, taken from its report as JSON. The only file that knows how that is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.truth.model_samples import Key


@dataclass(frozen=True, slots=True)
class EndClaim:
    """`spans` are (begin, end, states): in [begin, end] the end was in one of these; `over` is when it was gone at the
    latest, inf when it never was."""

    key: Key
    spans: tuple[tuple[float, float, frozenset[str]], ...]
    over: float

    @property
    def states(self) -> frozenset[str]:
        return frozenset(state for _, _, states in self.spans if len(states) == 1 for state in states)


@dataclass(frozen=True, slots=True)
class ConnectionClaim:
    number: int
    opened: tuple[float, float]
    closed: tuple[float, float] | None
    closer: str | None
    kind: str
    """`open`, `fin`, `rst`, `simultaneous`, `timeout` or `unknown`, as docs/report-json.md has it."""
    how: str
    """The same in words, to be shown."""
    client: EndClaim | None
    server: EndClaim | None
    client_node: str | None

    @property
    def ends(self) -> Iterator[EndClaim]:
        return (end for end in (self.client, self.server) if end is not None)

    def __str__(self) -> str:
        return f"c{self.number} " + " - ".join(f"{end.key[0]} {end.key[1]}" for end in self.ends)


def connections(report: Mapping[str, Any]) -> list[ConnectionClaim]:
    """All that the report tells of connections."""
    until = float(report["duration"])
    return [_connection(number, entry, until) for number, entry in enumerate(report["connections"], 1)]


def _connection(number: int, entry: Mapping[str, Any], until: float) -> ConnectionClaim:
    opened, closing = entry["opened"], entry["closing"]
    return ConnectionClaim(
        number=number,
        opened=(-math.inf if opened[0] is None else opened[0], opened[1]),
        closed=None if closing["at"] is None else _interval(closing["at"]),
        closer=closing["by"] if closing["kind"] in ("fin", "rst") else None,  # of a timeout it is who gave up
        kind=closing["kind"],
        how=entry["how"],
        client=_end(entry["client"], until),
        server=_end(entry["server"], until),
        client_node=entry["client_node"],
    )


def _interval(pair: list[float | None]) -> tuple[float, float]:
    low, high = pair
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _end(entry: Mapping[str, Any] | None, until: float) -> EndClaim | None:
    if entry is None:
        return None
    key = (entry["node"], entry["local"], entry["peer"])
    spans = [(stay["first"], stay["last"], frozenset({stay["state"]})) for stay in entry["stays"]]
    spans += [(*_interval([gap["after"], gap["before"]]), frozenset(gap["states"])) for gap in entry["gaps"]]
    spans.sort(key=lambda span: span[:2])
    ended = max(((end, "CLOSED" in states) for _, end, states in spans), default=(math.inf, False))
    over = ended[0] if ended[1] and ended[0] < until else math.inf
    return EndClaim(key, tuple(spans), over)


def gauges(report: Mapping[str, Any]) -> Iterator[tuple[str, float, str, dict[str, tuple[int, int]]]]:
    """Moment, time, node and how many sockets it has in each state, at least and at most."""
    for moment in report["moments"]:
        for node, told in moment["nodes"].items():
            if told["sampled"]:
                states = {state: (count["min"], count["max"]) for state, count in told["states"].items()}
                yield moment["name"], moment["t"], node, states


def close_wait_queues(report: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Moment, node, smallest and largest Recv-Q of its sockets in CLOSE_WAIT."""
    for moment in report["moments"]:
        for node, told in moment["nodes"].items():
            if told["close_wait_recv_q"]:
                yield moment["name"], node, (told["close_wait_recv_q"]["min"], told["close_wait_recv_q"]["max"])
