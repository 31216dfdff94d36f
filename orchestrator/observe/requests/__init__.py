"""The probe's requests: a class for each group of requests, with its handlers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Message = dict[str, Any]
Handlers = Mapping[str, Callable[[Message], Message]]
"""Request -> what does it: takes the request's fields, returns the answer's. Whatever it raises is the answer."""
