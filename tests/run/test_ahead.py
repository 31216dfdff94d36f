"""What a run imports while it waits."""

from __future__ import annotations

import sys
from importlib import import_module

from orchestrator.recording.checker import reading_validator
from orchestrator.run.ahead import Ahead
from orchestrator.run.execute import AFTERWARDS


def test_what_is_named_is_there() -> None:
    """Whoever needs it would make it, later: a wrong name would cost time only, and nobody would see it."""
    for each in AFTERWARDS:
        module, _, function = each.partition(":")
        assert not function or callable(getattr(import_module(module), function))


def test_a_function_is_called_and_what_is_not_there_is_passed_over() -> None:
    reading_validator.cache_clear()
    ahead = Ahead(("xml.dom.minidom", "orchestrator.recording.checker:reading_validator", "no.such.module"))
    ahead.begin()
    ahead.wait()
    assert "xml.dom.minidom" in sys.modules
    assert reading_validator.cache_info().currsize == 1


def test_it_may_never_have_begun() -> None:
    Ahead(("no.such.module",)).wait()
