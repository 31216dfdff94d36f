"""Which nodes can take a new configuration while they run."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.kinds.registry import Kind
from orchestrator.topology.model import Node


def no_reload(node: Node, kind: Kind | None, kinds: Mapping[str, Kind]) -> tuple[str, str] | None:
    """Why a node cannot reload, and what could: message and hint. None: it can."""
    able = ", ".join(name for name, each in kinds.items() if each.reload is not None)
    if kind is None:
        return f"{node.name} runs the image {node.image}: how that reloads is not known", f"kinds that reload: {able}"
    if kind.reload is None or node.entrypoint is not None:
        what = f"of the kind {kind.kind}" if kind.reload is None else "a program of its own"
        return f"{node.name} is {what}, which has no reload", f"kinds that reload: {able}"
    for knob, value in kind.reload.needs.items():
        if node.environment.get(knob, "").strip().lower() != value:
            return (
                f"{node.name} cannot reload: a {kind.kind} does with {knob}: {value} only",
                f"set {knob}: {value} in its environment",
            )
    return None
