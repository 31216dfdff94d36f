"""Header fields as events have them: name, as sent, -> value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def headers_of(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    """Values of a repeated name are joined with a comma, as RFC 9110 section 5.3 says."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        add_header(headers, name, value)
    return headers


def add_header(headers: dict[str, str], name: str | bytes, value: str | bytes) -> None:
    key, more = text(name), text(value)
    headers[key] = f"{headers[key]}, {more}" if key in headers else more


def text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
