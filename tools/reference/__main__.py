"""Writes docs/scenario-reference.md: `python -m tools.reference > docs/scenario-reference.md`, in the checkout."""

from __future__ import annotations

from tools.reference.page import reference

print(reference(), end="")
