"""Times and durations in text: read, and written no more exactly than they are known. Seconds (float) in code."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from orchestrator.text.suggest import describe

MAX_DURATION = 366 * 86400.0
"""Seconds. Above it a duration is a slip of the pen, and no sleep of the standard library takes what is far above."""

_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}

DURATION = re.compile(r"(?:0|(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+)")

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")

TIME_WIDTH = 11
"""Characters that a time takes at most, up to a run of a hundred million seconds."""

_EXACT = 0.001
_NEAR = 0.02
"""Seconds: intervals up to these widths are shown as one time to the millisecond, and as `~` to the hundredth."""


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


def measured(value: float) -> str:
    """As exact as a wait for a socket can be: `52.1 ms`, `5.003 s`."""
    if value < 0.0001:
        return "less than 0.1 ms"
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.3f} s"


def time_between(after: float, before: float) -> str:
    """`5.303` when exact to the millisecond, `~5.30` to about a hundredth, else `5.27-5.32`, rounded outwards."""
    if math.isinf(after):
        return f"by {_up(before, 2)}"[:TIME_WIDTH]
    middle = (after + before) / 2
    if before - after <= _EXACT:
        return _shortened(f"{middle:.3f}", middle)
    if before - after <= _NEAR:
        return _shortened(f"~{middle:.2f}", middle)
    for decimals in (2, 1, 0):
        text = f"{_down(after, decimals)}-{_up(before, decimals)}"
        if len(text) <= TIME_WIDTH:
            return text
    return f"~{middle:.0f}"[:TIME_WIDTH]


def _shortened(text: str, value: float) -> str:
    return text if len(text) <= TIME_WIDTH else f"~{value:.0f}"[:TIME_WIDTH]


def _down(value: float, decimals: int) -> str:
    # A time that was meant to be 5.27 may be a hair below it.
    scale = 10.0**decimals
    return f"{math.floor(value * scale + 1e-6) / scale:.{decimals}f}"


def _up(value: float, decimals: int) -> str:
    scale = 10.0**decimals
    return f"{math.ceil(value * scale - 1e-6) / scale:.{decimals}f}"


def duration(least: float, most: float | None = None) -> str:
    """`120 us`, `3.0 ms`, `5.0 s`, `60 s`; with two bounds that are far apart `~5.0 s` or `3.1-5.2 s`."""
    most = least if most is None else most
    if math.isinf(most) or math.isinf(least):
        return f"more than {duration(least)}" if math.isfinite(least) else "a while"
    middle = max(0.0, (least + most) / 2)
    width = most - least
    if middle >= 0.9995 or width > 0.1:
        if width <= 0.105:
            return f"{middle:.1f} s" if middle < 100 else f"{middle:.0f} s"
        return f"~{middle:.1f} s" if width <= 0.5 else f"{max(0.0, least):.1f}-{most:.1f} s"
    sign = "~" if width > 0.1 * middle else ""
    if middle < 0.001:
        return f"{sign}{middle * 1e6:.0f} us"
    milliseconds = middle * 1000
    return f"{sign}{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{sign}{milliseconds:.0f} ms"
