"""Which replicas go by the name of their service."""

from __future__ import annotations

from orchestrator.history.model import History


def services(history: History) -> dict[str, str]:
    """Node -> service, for the replicas of a service."""
    return {node: name for name, replicas in history.groups.items() if len(replicas) > 1 for node in replicas}
