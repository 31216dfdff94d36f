"""Amounts, instants and windows in words: `9..11`, `60s..62.1s`, `idle.end + 1.2s`, `over load.start .. load.end`."""

from __future__ import annotations

import math

from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import Margin, When, WhenKind
from orchestrator.text.durations import at, format_duration, write_duration
from orchestrator.text.numbers import number, plural

SECOND = "second"


def expected(bounds: Bounds) -> str:
    """As the scenario writes it: `100`, `9..11`, `1..`, `..4`, `60s..62.1s`."""

    def text(value: float) -> str:
        return write_duration(value) if bounds.unit == SECOND else f"{value:.0f}"

    if bounds.most == bounds.least:
        return text(bounds.least)
    least = text(bounds.least) if bounds.least or bounds.most is None else ""
    return f"{least}..{'' if bounds.most is None else text(bounds.most)}"


def actual(bounds: Bounds) -> str:
    """As it was found: `2`, `2..3`, `2..` where nothing bounds it; `60.1s..62s`."""
    if bounds.unit != SECOND:
        return number(bounds.least, bounds.top)
    least = seconds(bounds.least)
    most = "" if bounds.most is None else seconds(bounds.most)
    return least if least == most else f"{least}..{most}"


def counted(bounds: Bounds) -> str:
    """With its unit: `2..3 sockets`."""
    return plural(actual(bounds), bounds.unit)


def seconds(value: float) -> str:
    """A duration to the millisecond: `1.2s`, `250ms`."""
    return format_duration(round(value, 3))


def instant(where: Instant) -> str:
    """`idle.end + 1.2s`; the time alone where no moment comes before it."""
    if not where.name:
        return at(where.t if where.t is not None else where.offset)
    offset = round(where.offset, 3)
    return f"{where.name} {'+' if offset > 0 else '-'} {format_duration(abs(offset))}" if offset else where.name


def written(moment: Instant) -> str:
    """A moment as the scenario writes it, with its offset to the last digit."""
    if not moment.offset:
        return moment.name
    return f"{moment.name} {'+' if moment.offset > 0 else '-'} {write_duration(abs(moment.offset))}"


def when(asked: When) -> str:
    """As the scenario writes it: `at idle.end`, `eventually start .. end for 1s`."""
    if asked.kind is WhenKind.AT or asked.start is None:
        return f"{asked.kind} {written(asked.end)}"
    lasting = "" if asked.lasting is None else f" for {format_duration(asked.lasting)}"
    return f"{asked.kind} {written(asked.start)} .. {written(asked.end)}{lasting}"


def margin(room: Margin | None) -> str:
    """`1 socket; 2.4s to the next change`; empty for none."""
    if room is None:
        return ""
    amount = "" if room.amount is None else amount_of(room.amount, room.unit)
    change = "" if room.change is None else f"{seconds(room.change)} to the next change"
    return "; ".join(part for part in (amount, change) if part)


def amount_of(amount: float, unit: str) -> str:
    """`2 sockets`, `3s`."""
    return seconds(amount) if unit == SECOND else plural(f"{amount:.0f}", unit)


def bounded(least: float, most: float | None) -> str:
    """A duration between two bounds: `60.1s..62s`, `5s..`."""
    return actual(Bounds.of(least, math.inf if most is None else most, SECOND))
