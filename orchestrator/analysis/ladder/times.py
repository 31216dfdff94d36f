"""Times and durations in words, no more exact than they are known."""

from __future__ import annotations

import math

TIME_WIDTH = 11
"""Characters that a time takes at most, up to a run of a hundred million seconds."""

_EXACT = 0.001
_NEAR = 0.02
"""Seconds: intervals up to these widths are shown as one time to the millisecond, and as `~` to the hundredth."""


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


def short_count(number: int) -> str:
    """In four characters at most, up to 999 millions: `142`, `9999`, `146k`, `6.3M`."""
    if number < 10_000:
        return str(number)
    if number < 999_500:
        return f"{number / 1000:.0f}k"
    return f"{number / 1e6:.1f}M" if number < 9_950_000 else f"{number / 1e6:.0f}M"
