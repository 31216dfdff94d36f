"""`resume`: a program that hung goes on."""

from __future__ import annotations

import signal

from orchestrator.scenario.steps.base import Effect, Situation
from orchestrator.scenario.steps.program import Signals


class Resume(Signals):
    """Let the program of a paused node (or service: all its replicas) go on, with SIGCONT."""

    verb = "resume"
    meaning = "SIGCONT to a paused node: its program goes on"
    example = """\
steps:
  - name: freeze
    pause: server
  - name: hanging
    wait: 2s
  - name: thaw
    resume: server
"""
    number = signal.SIGCONT
    effect = Effect("resumed", "resumed")
    effects = (effect,)

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.node, "node"):
            situation.earlier.paused.pop(node, None)
