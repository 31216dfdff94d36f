"""`stop`: a program is asked to end."""

from __future__ import annotations

import signal

from orchestrator.scenario.steps.base import Effect
from orchestrator.scenario.steps.program import Ends


class Stop(Ends):
    """Ask the program of a node (or service: all its replicas) to end, with SIGTERM, and wait until it did.

    The node does not come back, so no later step can act on it. Requests to it are legal, and show what its clients
    see.
    """

    verb = "stop"
    meaning = "SIGTERM to the node's program; waits until it ended"
    example = """\
steps:
  - name: leave
    stop: client
"""
    number = signal.SIGTERM
    effect = Effect("stopped", "stopped", ends_program=True)
    effects = (effect,)
    awake = True
