"""Which nodes of a topology translate addresses, and which of these others reach networks through."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.kinds.registry import Kind
from orchestrator.topology.model import Node, Topology


def nats(topology: Topology, kinds: Mapping[str, Kind]) -> list[Node]:
    """The nodes that translate addresses."""
    return [node for node in topology.nodes if node.kind is not None and node.kind in kinds and kinds[node.kind].nat]


def routers(topology: Topology, kinds: Mapping[str, Kind]) -> set[str]:
    """Names of the nodes through which others reach what lies behind: NATs that do not stand for one service."""
    return {node.name for node in nats(topology, kinds) if not node.environment.get("UPSTREAM", "").strip()}
