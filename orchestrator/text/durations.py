"""Durations in text: read and written with their units. Seconds (float) in code."""

from __future__ import annotations

import re
from decimal import Decimal

from orchestrator.text.suggest import describe

MAX_DURATION = 366 * 86400.0
"""Seconds. Above it a duration is a slip of the pen, and no sleep of the standard library takes what is far above."""


_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}


DURATION = re.compile(r"(?:0|(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+)")


_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


def parse_duration(value: object) -> float:
    """Seconds from `8s`, `500ms`, `1.5s`, `2m`, `1m30s` or `1h`; the number 0 needs no unit.

    Raises ValueError with what was expected.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_DURATION:
        if value == 0:
            return 0.0
        raise ValueError(f"a duration needs a unit: write {value!r}s or {value!r}ms")
    if isinstance(value, str) and DURATION.fullmatch(value.strip()):
        # Decimal, so that 123ms is exactly the float 0.123 and prints as it was written.
        seconds = float(sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(value)))
        if seconds > MAX_DURATION:
            raise ValueError(f"{describe(value)} is too long: a duration is at most 366 days")
        return seconds
    raise ValueError(f"expected a duration such as 8s, 500ms or 2m, not {describe(value)}")


def format_duration(seconds: float) -> str:
    """A measured duration for people, to the millisecond; below 1 s to the microsecond: 500ms, 8s, 61.25s."""
    return write_duration(round(seconds, 3 if abs(seconds) >= 1 else 6))


def rough_duration(seconds: float) -> str:
    """For estimates: `about 12 s`, `about 16 min`, `about 2 h 20 min`."""
    if seconds < 120:
        return f"about {seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return "about " + " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def write_duration(seconds: float) -> str:
    """The duration exactly, as a scenario would write it: `parse_duration` gives the same float back."""
    exact = Decimal(repr(float(seconds)))
    if exact and abs(exact) < 1:
        return f"{_plain(exact * 1000)}ms"
    return f"{_plain(exact)}s"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def at(t: float) -> str:
    """A time of the run: `5.02s`."""
    return f"{t:.3f}".rstrip("0").rstrip(".") + "s"
