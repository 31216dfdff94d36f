"""Counts in text."""

from __future__ import annotations


def number(least: float, most: float) -> str:
    """A count: `2`, `2..3`, or `2..` when nothing bounds it."""
    if least == most:
        return f"{least:.0f}"
    return f"{least:.0f}.." if most == float("inf") else f"{least:.0f}..{most:.0f}"


def plural(count: int | str, noun: str) -> str:
    """`1 connection`, `3 connections`, `2..3 connections`, `2 entries`."""
    if str(count) == "1":
        return f"{count} {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("try") else f"{count} {noun}s"


def short_count(number: int) -> str:
    """In four characters at most, up to 999 millions: `142`, `9999`, `146k`, `6.3M`."""
    if number < 10_000:
        return str(number)
    if number < 999_500:
        return f"{number / 1000:.0f}k"
    return f"{number / 1e6:.1f}M" if number < 9_950_000 else f"{number / 1e6:.0f}M"
