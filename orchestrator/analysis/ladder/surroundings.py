"""What goes on around a connection: the steps of the scenario, and what they do to the two nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Set

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
            befell = Befell(event["node"], event["what"], detail.get("network") or None, packets)
            yield Item(RowKind.NODE, t, t, befell, effect=effect, node=event["node"])


def forgotten_items(via: Iterable[Flow], first: float, last: float) -> Iterator[Item]:
    """NATs on the way that have forgotten the connection. Conntrack drops an entry whose time is over when it next
    looks at it, which may be some time later."""
    for flow in via:
        if flow.ended is not None and first <= flow.ended[0] <= last:
            yield Item(RowKind.NODE, *flow.ended, Forgot(flow.node))


def step_items(history: History, until: float, first: float, last: float) -> Iterator[Item]:
    """The step in which a story between `first` and `last` begins, and those that begin inside it, if not too many."""
    starts: dict[float, list[str]] = {}
    for name, t in history.moments.items():
        step, _, what = name.rpartition(".")
        if step and what == "start":
            starts.setdefault(t, []).append(step)
    begun = max((t for t in starts if t <= first), default=math.inf)
    shown = {t: names for t, names in sorted(starts.items()) if begun <= t <= last and t < until}
    if len(shown) <= _STEPS:
        for t, names in shown.items():
            yield Item(RowKind.STEP, t, t, Steps(tuple(names)))
