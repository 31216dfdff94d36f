"""What the line `begin` of a recording says of the nodes."""

from __future__ import annotations

from collections import defaultdict

from orchestrator.recording.events import Event


def groups(begin: Event) -> dict[str, tuple[str, ...]]:
    """Services that are not themselves the name of a node: those with replicas."""
    names = {node["name"] for node in begin["nodes"]}
    found: dict[str, list[str]] = defaultdict(list)
    for node in begin["nodes"]:
        if node["service"] not in names:
            found[node["service"]].append(node["name"])
    return {service: tuple(members) for service, members in found.items()}


def shared(begin: Event) -> frozenset[str]:
    return frozenset(node["name"] for node in begin["nodes"] if node.get("shared"))


def reporting(begin: Event, role: str) -> frozenset[str]:
    return frozenset(node["name"] for node in begin["nodes"] if node["role"] == role and node["events"])
