"""`stop`: a program is asked to end."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.steps.base import Context, Situation
from orchestrator.scenario.steps.program import GRACE, KILLED, STOPPED, Grace, OfNode, end, gone


class Stop(OfNode):
    """Ask the program of a node (or service: all its replicas) to end, with SIGTERM, and wait until it did.

    One that has not ended after `grace` is killed with SIGKILL, as orchestrators do; a note and the recording say so.
    The node's network stays: its kernel answers for it, TIME_WAIT and orphaned FIN_WAIT2 run out, and `start` brings
    the program back. Until then no step can act on the program. Requests to it are legal, and show what its clients
    see.
    """

    verb = "stop"
    meaning = "SIGTERM to the node's program; waits until it ended"
    example = """\
steps:
  - name: leave
    stop: client
  - name: drain
    stop: {node: server, grace: 5s}
"""
    effects = (STOPPED, KILLED)

    grace: Grace = Field(GRACE, description="it is killed when it has not ended after this time")

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.node, "node", awake=True):
            gone(situation, node)

    def perform(self, context: Context) -> None:
        end(context, context.running(context.nodes(self.node)), self.grace)
