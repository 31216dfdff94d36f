"""A network interface of a node, decided before anything starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interface:
    """One leg of a node, addresses decided before anything starts. `address` is dotted IPv4, `prefix` its length."""

    name: str
    network: str
    address: str
    prefix: int
