"""`link`: a node is off its network."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.fields import TrueOrFalse
from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation
from orchestrator.text.suggest import shown, suggestion

_DOWN = Effect("link down", "cut off", reachable=False)
_UP = Effect("link up", "linked again", reachable=True)


class Link(Fields):
    """Take a node off its network, or bring it back: a peer that vanishes.

    What it sends and what is sent to it is lost, and no kernel is told: interfaces, addresses and neighbours stay as
    they are, and only TCP's own timers can notice. What a node sends to itself arrives.
    """

    verb = "link"
    meaning = "take a node off its network, or bring it back"
    example = """\
steps:
  - name: vanish
    link: {node: server, up: false}
  - name: unplugged
    kill: server
  - name: back
    link: {node: server, network: lab, up: true}
"""
    effects = (_DOWN, _UP)

    node: str = Field(description="the node (or service: all its replicas)")
    up: TrueOrFalse = Field(description="`false` cuts it off, `true` brings it back")
    network: str | None = Field(None, description="only its interface in this network; without: all of them")

    def check(self, situation: Situation) -> None:
        """A node's program may be gone: its kernel is still there, and its link with it."""
        for node in situation.nodes(self.node, "node"):
            own = situation.networks(node)
            if self.network is None and not own:
                situation.problem(f"{node} is on no network, so it has no link", None, "node")
                return
            if self.network is not None and self.network not in own:
                message = f"{node} is not on a network {shown(self.network)}"
                situation.problem(message, suggestion(self.network, own), "network")
                return

    def describe(self) -> str:
        where = f" in {self.network}" if self.network else ""
        return f"link of {self.node}{where} {'up' if self.up else 'down'}"

    def perform(self, context: Context) -> None:
        """Between the two events the node was surely off."""
        for node in context.nodes(self.node):
            if self.up:
                context.record(node, _UP, network=self.network)
                context.fault("partition", "heal", node, network=self.network)
            else:
                context.fault("partition", "apply", node, network=self.network)
                context.record(node, _DOWN, network=self.network)
