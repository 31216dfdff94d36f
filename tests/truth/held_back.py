"""What the quick form leaves out today, because simctl is known to be wrong there: each with why. Empty is the goal."""

from __future__ import annotations

FEATURES_HELD_BACK: dict[str, str] = {}
