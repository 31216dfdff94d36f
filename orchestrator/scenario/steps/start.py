"""`start`: a program that ended begins anew."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.fields import TrueOrFalse
from orchestrator.scenario.steps.base import Context, Situation
from orchestrator.scenario.steps.program import STARTED_AGAIN, Knobs, OfNode, back, can_start_again, start_again


class Start(OfNode):
    """Start the program of a stopped or killed node (or service: all its replicas) again, and wait until it is ready.

    Same address, same port, and the same kernel, which still has what the last program left: a server whose
    connections are in TIME_WAIT and that does not set SO_REUSEADDR gets EADDRINUSE. A program that ends before it is
    ready ends the run, with what it said; `may_fail` makes that a part of the scenario, told in a note. `set` changes
    knobs of the node's kind from now on.
    """

    verb = "start"
    meaning = "starts the program of a stopped or killed node again; waits until it is ready"
    example = """\
steps:
  - name: crash
    kill: server
  - name: back
    start: server
  - name: leave
    stop: server
  - name: changed
    start: {node: server, set: {KEEPALIVE_TIMEOUT: 2s}, may_fail: true}
"""
    effects = (STARTED_AGAIN,)

    set: Knobs = Field({}, description="knobs of its kind that get another value, from now on")
    may_fail: TrueOrFalse = Field(False, description="its program may end before it is ready: the run goes on")

    def check(self, situation: Situation) -> None:
        nodes = situation.nodes(self.node, "node")
        if not can_start_again(situation, nodes):
            return
        for node in nodes:
            if node not in situation.earlier.gone and node not in situation.earlier.perhaps_gone:
                hint = "`restart` ends it before; `stop` and `kill` end it"
                situation.problem(f"{node} runs: no earlier step ended its program", hint, "node")
                return
            back(situation, node, may_fail=self.may_fail)
        situation.check_knobs(self.node, self.set, "set")

    def perform(self, context: Context) -> None:
        start_again(context, context.nodes(self.node), self.set, may_fail=self.may_fail)
