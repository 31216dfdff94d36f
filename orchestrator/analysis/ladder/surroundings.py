"""What goes on around a connection: the steps of the scenario, and what they do to the two nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial

from orchestrator.analysis.ladder.model import RowKind
from orchestrator.analysis.ladder.notes import Befell, Forgot, Steps
from orchestrator.analysis.ladder.order import Item
from orchestrator.history.model import Flow, History
from orchestrator.scenario.steps import EFFECTS

_STEPS = 8
"""More steps than these inside one connection are not shown: the ladder is about the connection."""


def node_items(history: History, nodes: Set[str | None], first: float, last: float) -> Iterator[Item]:
    """What befell one of the nodes between `first` and `last`, seconds of the run."""
    for event in history.happened:
        t = float(event["t"])
        effect = EFFECTS.get(event["what"])
        detail = event.get("detail") or {}
        named = detail.get("nodes")
        concerns = event["node"] in nodes or (
            isinstance(named, list) and any(isinstance(node, str) and node in nodes for node in named)
        )
        if effect is not None and effect.words and concerns and first <= t <= last:
            packets = str(detail["packets"]) if detail.get("packets") else None
            name = str(detail["about"]) if detail.get("about") else None
            befell = Befell(event["node"], event["what"], detail.get("network") or None, packets, name)
            yield Item(RowKind.NODE, t, t, befell, effect=effect, node=event["node"])


def forgotten_items(via: Iterable[Flow], first: float, last: float) -> Iterator[Item]:
    """NATs on the way that have forgotten the connection. Conntrack drops an entry whose time is over when it next
    looks at it, which may be some time later."""
    for flow in via:
        if flow.ended is not None and first <= flow.ended[0] <= last:
            yield Item(RowKind.NODE, *flow.ended, Forgot(flow.node))


def step_items(history: History, until: float, first: float, last: float) -> Iterator[Item]:
    """The steps in which a story between `first` and `last` begins, and those that begin inside it, if not too many;
    and the ends there of those that others went on beside."""
    starts, ends = _by_step(history, "start"), _by_step(history, "end")
    under_way = {step for step, t in starts.items() if t <= first <= ends.get(step, math.inf)}
    latest = max((t for t in starts.values() if t <= first), default=math.inf)
    begin = {
        step: t
        for step, t in starts.items()
        if t <= last and t < until and (t > first or t == latest or step in under_way)
    }
    boundaries = {*starts.values(), history.moments.get("end")}
    end = {
        step: t for step, t in ends.items() if step in begin and first < t <= last and t < until and t not in boundaries
    }
    begin_rows, end_rows = list(_at_one_time(begin, Steps)), list(_at_one_time(end, partial(Steps, end=True)))
    if len(begin_rows) <= _STEPS:
        yield from begin_rows
        yield from end_rows if len(end_rows) <= _STEPS else ()


def _by_step(history: History, which: str) -> dict[str, float]:
    """Step -> when it begins, or ends."""
    moments = ((*name.rpartition("."), t) for name, t in history.moments.items())
    return {step: t for step, _, what, t in moments if step and what == which}


def _at_one_time(steps: Mapping[str, float], note: Callable[[tuple[str, ...]], Steps]) -> Iterator[Item]:
    together: dict[float, list[str]] = {}
    for step, t in steps.items():
        together.setdefault(t, []).append(step)
    for t, names in sorted(together.items()):
        yield Item(RowKind.STEP, t, t, note(tuple(names)))
