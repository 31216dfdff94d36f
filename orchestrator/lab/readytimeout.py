"""How long a node may take to be ready: the one number that the command line and every lab begin with."""

from __future__ import annotations

READY_TIMEOUT = 30.0
"""Seconds that a node may take until it listens or says that it is ready. A JVM on a busy machine takes several."""
