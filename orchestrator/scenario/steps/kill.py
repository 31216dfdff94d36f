"""`kill`: a program ends without being asked."""

from __future__ import annotations

import signal

from orchestrator.scenario.steps.base import Effect
from orchestrator.scenario.steps.program import Ends


class Kill(Ends):
    """End the program of a node (or service: all its replicas) with SIGKILL. Its kernel closes what it had open.

    The node does not come back, as with `stop`. It works on a paused node too.
    """

    verb = "kill"
    meaning = "SIGKILL to the node's program"
    example = """\
steps:
  - name: crash
    kill: server
"""
    number = signal.SIGKILL
    effect = Effect("killed", "killed", ends_program=True)
    effects = (effect,)
    awake = False
