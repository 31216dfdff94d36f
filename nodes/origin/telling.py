"""What the reference server says of itself: events on standard output, as nodes/README.md has them."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

_writing = threading.Lock()


def tell(event: dict[str, Any]) -> None:
    """One event, whole, on standard output. Ends the process when nobody listens any more."""
    data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    with _writing:
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            os._exit(1)


def joined(items: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as sent; a repeated one has its values joined, as RFC 9110 section 5.3 allows."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in items:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
