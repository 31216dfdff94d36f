"""Events on standard output, one JSON object a line, as nodes/README.md has them."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

Event = dict[str, Any]

_writing = threading.Lock()


def emit(event: Event) -> None:
    """One event, whole, on standard output. Ends the process when nobody reads any more."""
    data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    with _writing:
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            os._exit(1)
