"""Where node kinds keep what is made once: $XDG_CACHE_HOME/simctl, or ~/.cache/simctl."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder of that name in the cache. It need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "simctl" / name
