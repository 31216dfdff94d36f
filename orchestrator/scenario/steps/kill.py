"""`kill`: a program ends without being asked."""

from __future__ import annotations

from orchestrator.scenario.steps.base import Context, Situation
from orchestrator.scenario.steps.program import KILLED, OfNode, await_killed, gone, kill


class Kill(OfNode):
    """End the program of a node (or service: all its replicas) with SIGKILL. Its kernel closes what it had open.

    As with `stop` the node's network stays, and `start` brings the program back. It works on a paused node too.
    """

    verb = "kill"
    meaning = "SIGKILL to the node's program"
    example = """\
steps:
  - name: crash
    kill: server
"""
    effects = (KILLED,)

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.node, "node"):
            gone(situation, node)

    def perform(self, context: Context) -> None:
        nodes = context.running(context.nodes(self.node))
        for node in nodes:
            kill(context, node)
        for node in nodes:
            await_killed(context, node)
