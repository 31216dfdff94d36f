"""The forms of a report by name. Each is the file of that name in this folder, which is imported when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.report.forms.form import Form

FORMS = ("text", "json", "junit")
"""What `--format` may be; the first is the default."""


def form(name: str) -> Form:
    """The form of that name, one of FORMS."""
    found: Form = import_module(module(name)).FORM
    return found


def module(name: str) -> str:
    """The name of its module."""
    return f"{__package__}.{name}"
