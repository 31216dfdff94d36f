"""`restart`: a program ends, and begins anew."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.fields import TrueOrFalse
from orchestrator.scenario.steps.base import Context, Situation
from orchestrator.scenario.steps.program import (
    GRACE,
    KILLED,
    STARTED_AGAIN,
    STOPPED,
    Grace,
    Knobs,
    OfNode,
    back,
    can_start_again,
    end,
    gone,
    start_again,
)


class Restart(OfNode):
    """`stop` and `start` in one step: SIGTERM, SIGKILL after `grace`, and the program again until it is ready.

    Of a service all replicas end before the first one begins anew. One after the other is a step for each node. It
    brings back a program that has ended by itself too.
    """

    verb = "restart"
    meaning = "`stop` and then `start`"
    example = """\
steps:
  - name: deploy
    restart: server
  - name: deploy-again
    restart: {node: server, grace: 5s, set: {KEEPALIVE_TIMEOUT: 2s}}
"""
    effects = (STOPPED, KILLED, STARTED_AGAIN)

    grace: Grace = Field(GRACE, description="it is killed when it has not ended after this time")
    set: Knobs = Field({}, description="knobs of its kind that get another value, from now on")
    may_fail: TrueOrFalse = Field(False, description="its program may end before it is ready: the run goes on")

    def check(self, situation: Situation) -> None:
        nodes = situation.able(self.node, "node", awake=True)
        if not can_start_again(situation, nodes):
            return
        for node in nodes:
            gone(situation, node)
            back(situation, node, may_fail=self.may_fail)
        situation.check_knobs(self.node, self.set, "set")

    def perform(self, context: Context) -> None:
        nodes = context.nodes(self.node)
        end(context, context.running(nodes, noted=False), self.grace)
        start_again(context, nodes, self.set, may_fail=self.may_fail)
