"""What the first line of a recording says of each node of a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.fabric.addresses import AddressPlan
from orchestrator.kinds.registry import Kind
from orchestrator.topology.model import Node

if TYPE_CHECKING:
    from orchestrator.recording.lines import BeginNode


def describe(node: Node, kind: Kind | None, plan: AddressPlan) -> BeginNode:
    """`kind`: None for an image that is no kind's."""
    return {
        "name": node.name,
        "service": node.service,
        "kind": node.kind or node.image,
        "role": kind.role if kind else "foreign",
        "events": bool(kind and kind.events),
        "addresses": plan.of(node.name),
        "timers": timers(node, kind) if kind else None,
        "sysctls": dict(node.sysctls),
    }


def timers(node: Node, kind: Kind) -> dict[str, float]:
    """Knob -> seconds, of the knobs that are durations, set or by default."""
    found: dict[str, float] = {}
    for name, knob in kind.knobs.items():
        value = (node.environment.get(name) or "").strip() or knob.default
        seconds = knob.takes.seconds(value) if knob.takes is not None else None
        if seconds is not None:
            found[name] = seconds
    return found
