"""A network interface of a node, decided before anything starts."""

from __future__ import annotations

from orchestrator.text.record import record


@record
class Interface:
    """One leg of a node, addresses decided before anything starts. `address` is dotted IPv4, `prefix` its length."""

    name: str
    network: str
    address: str
    prefix: int
