"""What work that takes a while reports: one short line for each phase."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
