"""Expectations about a run from what the model proves: a true one must not fail, a false one must not pass."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.truth.compare import restless
from tests.truth.findings import Comparison
from tests.truth.model import Truth
from tests.truth.model_samples import TEXT_TAKES

_EVER = ("TIME_WAIT", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "FIN_WAIT2", "SYN_RECV")
_PASSED_THROUGH = ("FIN_WAIT2", "SYN_RECV")
"""A single segment can lead into these and out again, so nothing shows that an end was never there."""
_CONNECTED = ("ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "TIME_WAIT")
_AT_MOST = 40
"""Of each run."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """`entry` is what stands in the scenario below `expect`."""

    true: bool
    kind: str
    entry: Mapping[str, Any]


def expectations(truth: Truth, seed: int) -> list[Expectation]:
    """A choice of them by seed."""
    every = [*_at_moments(truth), *_counted(truth), *_ever(truth)]
    chosen = random.Random(seed).sample(every, min(len(every), _AT_MOST))
    return [
        Expectation(e.true, e.kind, {"that": f"{number} {'true' if e.true else 'false'}", **e.entry})
        for number, e in enumerate(chosen)
    ]


def compare_verdicts(asked: Sequence[Expectation], report: Mapping[str, Any], found: Comparison) -> None:
    """The report of `simctl verify` on the same recording with these expectations."""
    for expectation, verdict in zip(asked, report["verdicts"], strict=True):
        outcome = verdict["outcome"]
        found.figures["expectations"] += 1
        found.figures["verdicts unknown"] += outcome == "unknown"
        if outcome == ("fail" if expectation.true else "pass"):
            actual = [f"{fact['node']} {fact['words']['fact']} {fact['words']['actual']}" for fact in verdict["facts"]]
            kind = f"{'true fails' if expectation.true else 'false passes'}: {expectation.kind}"
            found.add(
                kind, verdict["words"], ", ".join(actual), f"the model has {dict(expectation.entry)}", _at(verdict)
            )


def _at(verdict: Mapping[str, Any]) -> float:
    return float(verdict["at"] or 0.0)


def _at_moments(truth: Truth) -> Iterator[Expectation]:
    for (moment, node), rows in truth.samples.texts.items():
        t = truth.samples.moments.get(moment)
        if t is None or not rows or restless(truth, node, moment):
            continue
        states = Counter(row.state for row in rows if row.state != "LISTEN")
        yield Expectation(True, "gauge", {"at": moment, node: {**states, "others": 0}})
        for state, count in states.items():
            yield Expectation(False, f"gauge {state}", {"at": moment, node: {state: count + 1}})
            yield Expectation(False, f"gauge {state}", {"at": moment, node: {state: count - 1}})
        if states:
            yield Expectation(False, "gauge others", {"at": moment, node: {"others": 0}})
        yield from _accept_queue(truth, moment, node, t)


def _accept_queue(truth: Truth, moment: str, node: str, t: float) -> Iterator[Expectation]:
    """Recv-Q of LISTEN, where nothing can have changed it since the moment before."""
    earlier = [(at, name) for name, at in truth.samples.moments.items() if at < t]
    if not earlier:
        return
    before, name = max(earlier)
    now, then = (
        [(row.local, row.recv_q) for row in truth.samples.texts.get((m, node), []) if row.state == "LISTEN"]
        for m in (moment, name)
    )
    busy = any(
        before <= s.t <= truth.samples.looked.get(moment, t + TEXT_TAKES)
        for c in truth.captures
        for s in c.segments
        if node in (s.sender, truth.owners.get(s.target.rpartition(":")[0]))
    )
    if len(now) == 1 and now == then and not busy:
        queue = now[0][1]
        yield Expectation(True, "recv_q LISTEN", {"at": moment, node: {"recv_q": {"LISTEN": queue}}})
        yield Expectation(False, "recv_q LISTEN", {"at": moment, node: {"recv_q": {"LISTEN": queue + 1}}})


def _counted(truth: Truth) -> Iterator[Expectation]:
    window = {"over": "start .. end"}
    for node in truth.nodes:
        if node in truth.translators or any(known.lost for c in truth.connections for known in c.known.values()):
            continue
        for fact, (low, high) in {
            "connections": _connections(truth, node),
            "first_fin": _first_fins(truth, node),
            "resets": (len(truth.resets(node)),) * 2,
        }.items():
            kind = {"resets": "resets"}.get(fact, fact)
            yield Expectation(True, kind, {**window, node: {fact: f"{low}..{high}" if low != high else low}})
            if low == high:
                yield Expectation(False, kind, {**window, node: {fact: low + 1}})
            if low:
                yield Expectation(False, kind, {**window, node: {fact: f"..{low - 1}"}})
        again, perhaps = truth.repeated(node)
        yield Expectation(True, "retransmits", {**window, node: {"retransmits": f"{again}.."}})
        if again:
            yield Expectation(False, "retransmits", {**window, node: {"retransmits": f"..{again - 1}"}})
        elif not perhaps:
            yield Expectation(False, "retransmits", {**window, node: {"retransmits": "1.."}})


def _connections(truth: Truth, node: str) -> tuple[int, int]:
    """Opened or accepted, at least and at most: an attempt that failed may count or not."""
    low = high = 0
    for c in truth.connections:
        for key in c.keys:
            if key[0] == node:
                surely, perhaps = truth.ever(c.known[key], *_CONNECTED)
                surely = surely or (key == c.client and c.established is not None)
                low += surely
                high += perhaps or key == c.client
    return low, high


def _first_fins(truth: Truth, node: str) -> tuple[int, int]:
    low = high = 0
    for c in truth.connections:
        first = truth.first_closing(c)
        if first is None:
            continue
        segment, nodes = first
        arrived = bool(segment.flags & 4) or any(
            s.t > segment.t and s.source == segment.target and not s.flags & 4 and s.ack == segment.end
            for life in c.lives
            for s in life.segments
        )
        high += node in nodes
        low += nodes == {node} and arrived and c.established is not None
    return low, high


def _ever(truth: Truth) -> Iterator[Expectation]:
    for node in truth.nodes:
        known = [k for c in truth.connections for key, k in c.known.items() if key[0] == node]
        if node in truth.translators or any(k.lost for k in known):
            continue
        for state in _EVER:
            ever = [truth.ever(k, state) for k in known]
            if any(surely for surely, _ in ever):
                yield Expectation(True, f"eventually {state}", {"eventually": "start .. end", node: {state: "1.."}})
                yield Expectation(False, f"never {state}", {"never": "start .. end", node: {state: 0}})
            elif state not in _PASSED_THROUGH and not any(perhaps for _, perhaps in ever) and not truth.stray:
                yield Expectation(True, f"never {state}", {"never": "start .. end", node: {state: 0}})
                yield Expectation(False, f"eventually {state}", {"eventually": "start .. end", node: {state: "1.."}})
