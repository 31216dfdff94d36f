"""Counts in text."""

from __future__ import annotations


def number(least: float, most: float) -> str:
    """A count: `2`, `2..3`, or `2..` when nothing bounds it."""
    if least == most:
        return f"{least:.0f}"
    return f"{least:.0f}.." if most == float("inf") else f"{least:.0f}..{most:.0f}"


def plural(count: str, noun: str) -> str:
    return f"{count} {noun}" if count == "1" else f"{count} {noun}s"
