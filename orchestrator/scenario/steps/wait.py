"""`wait`: time passes."""

from __future__ import annotations

from pydantic import RootModel

from orchestrator.scenario.steps.base import Context, Situation, Verb
from orchestrator.scenario.values import Duration
from orchestrator.text.durations import format_duration


class Wait(RootModel[Duration], Verb):
    """Let time pass: a duration. What the nodes do by themselves goes on, and is recorded."""

    verb = "wait"
    meaning = "let time pass; the nodes go on"
    example = """\
steps:
  - name: idle
    wait: 1m30s
"""

    @property
    def seconds(self) -> float:
        return self.root

    def check(self, situation: Situation) -> None:
        """Any duration will do."""

    def describe(self) -> str:
        return f"wait {format_duration(self.root)}"

    def perform(self, context: Context) -> None:
        context.wait(self.root)
