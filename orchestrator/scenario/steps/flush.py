"""`flush`: a NAT forgets every flow."""

from __future__ import annotations

from orchestrator.scenario.steps.base import Context, Effect, Situation
from orchestrator.scenario.steps.program import OfNode

_FLUSHED = Effect("flushed", "made to forget every flow")


class Flush(OfNode):
    """Have the kernel of a NAT forget every flow of its conntrack table, as `conntrack -F` does, or a restart of the
    machine that it is.

    Nobody is told. What comes next of a connection is of no flow: what becomes of it is the knob ON_UNKNOWN of the kind
    `nat`.
    """

    verb = "flush"
    meaning = "a NAT forgets every flow"
    example = """\
steps:
  - name: forget
    flush: nat
"""
    effects = (_FLUSHED,)

    def check(self, situation: Situation) -> None:
        nats = situation.nats
        for node in situation.nodes(self.node, "node"):
            if node not in nats:
                hint = (
                    f"nats of this topology: {', '.join(nats)}" if nats else "this topology has no node of the kind nat"
                )
                situation.problem(f"{node} is no NAT: it has no table of flows", hint, "node")
                return

    def perform(self, context: Context) -> None:
        for node in context.nodes(self.node):
            context.record(node, _FLUSHED)
            context.fault("flows", "apply", node)
