"""What the recording's first line, `begin`, says of its nodes."""

from __future__ import annotations

from collections import defaultdict

from orchestrator.recording.events import Event


def groups(begin: Event) -> dict[str, tuple[str, ...]]:
    """Services that are not themselves the name of a node: those with replicas."""
    names = {node["name"] for node in begin["nodes"]}
    groups: dict[str, list[str]] = defaultdict(list)
    for node in begin["nodes"]:
        if node["service"] not in names:
            groups[node["service"]].append(node["name"])
    return {service: tuple(members) for service, members in groups.items()}


def shared(begin: Event) -> frozenset[str]:
    """Nodes whose network namespace others may use too."""
    return frozenset(node["name"] for node in begin["nodes"] if node.get("shared"))


def reporting(begin: Event, role: str) -> frozenset[str]:
    """Nodes of that role whose programs report what they do."""
    return frozenset(node["name"] for node in begin["nodes"] if node["role"] == role and node["events"])
