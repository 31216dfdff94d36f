"""`pause`: a program hangs."""

from __future__ import annotations

import signal

from orchestrator.scenario.steps.base import Effect, Situation
from orchestrator.scenario.steps.program import Signals


class Pause(Signals):
    """Stop the program of a node (or service: all its replicas) with SIGSTOP: it hangs, and its kernel still answers.

    A paused node can send nothing and end by `stop` only after a `resume`; `kill` works on it.
    """

    verb = "pause"
    meaning = "SIGSTOP: the node's kernel still answers, its program does not"
    example = """\
steps:
  - name: freeze
    pause: server
"""
    number = signal.SIGSTOP
    effect = Effect("paused", "paused")
    effects = (effect,)

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.node, "node"):
            situation.earlier.paused[node] = situation.step
