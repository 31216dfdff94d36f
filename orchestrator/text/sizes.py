"""Sizes in text: a number of bytes with a unit, or without one."""

from __future__ import annotations

import re
from decimal import Decimal

from orchestrator.text.suggest import describe

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}  # fmt: skip

SIZE = re.compile(rf"([0-9]{{1,13}}(?:\.[0-9]{{1,12}})?) ?({'|'.join(_UNITS)})")


def parse_size(value: object) -> int:
    """Bytes from `1GB`, `1.5MB`, `64KiB`, or a whole number of bytes. Raises ValueError with what was expected."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = Decimal(found[1]) * _UNITS[found[2]] if found else Decimal("0.5")
    if size != int(size):
        raise ValueError(f"expected a whole number of bytes such as 1GB, 64KiB or 1000000, not {describe(value)}")
    return int(size)
