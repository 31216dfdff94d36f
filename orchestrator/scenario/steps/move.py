"""`move`: a virtual address goes from one node to another."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.fields import TrueOrFalse
from orchestrator.scenario.steps.base import Applied, Context, Effect, Fields, Situation
from orchestrator.text.suggest import shown, suggestion

_GIVEN_UP = Effect("address given up", "no longer the node of the virtual address")
_TAKEN = Effect("address taken", "the node of the virtual address from now on")
"""History reads it, in history/moves.py: it is recorded when the one has the address no more, and the other not yet."""


class Move(Fields):
    """Give a virtual address of the topology (`x-simctl: addresses`) to another node, as keepalived does when a master
    fails.

    The node that has it loses it, the other one gets it, and tells all neighbours by a gratuitous ARP, unless
    `announce` is false. Connections to the address stay where they are: their sockets at the old node can neither send
    nor receive, and the new one answers what comes for them with RST. `heal` moves it to where it
    would be without the step: of several the latest counts that is not healed.
    """

    verb = "move"
    meaning = "give a virtual address to another node"
    example = """\
steps:
  - name: failover
    move: {address: vip, to: server}
  - name: failback
    heal: failover
"""
    effects = (_GIVEN_UP, _TAKEN)

    address: str = Field(description="its name in `x-simctl: addresses` of the topology")
    to: str = Field(description="the node that gets it")
    announce: TrueOrFalse = Field(
        True, description="by a gratuitous ARP; `false`: neighbours go on sending to the old node until they ask anew"
    )

    def check(self, situation: Situation) -> None:
        network = situation.addresses.get(self.address)
        if network is None:
            hint = "give it to the topology: `x-simctl: {addresses: {NAME: {network: ..., node: ...}}}`"
            known = list(situation.addresses)
            message = f"the topology has no virtual address {shown(self.address)}"
            situation.problem(message, suggestion(self.address, known) if known else hint, "address")
            return
        nodes = situation.nodes(self.to, "to")
        if len(nodes) > 1:
            situation.problem(f"{self.to} is {len(nodes)} nodes: an address is of one", f"name {nodes[0]}", "to")
        elif nodes and network not in situation.networks(nodes[0]):
            situation.problem(f"{nodes[0]} is not on {network}, the network of {self.address}", None, "to")
        elif nodes:
            situation.earlier.faults[situation.step] = Applied(self.verb, heals_itself=False)

    def describe(self) -> str:
        return f"move {self.address} to {self.to}"

    def perform(self, context: Context) -> None:
        (node,) = context.nodes(self.to)
        self._move(context, node)
        context.later(context.step, lambda: self._move(context, None))

    def _move(self, context: Context, chosen: str | None) -> None:
        node, held = context.choose(self.address, chosen), context.virtual(self.address)
        if held.node == node:
            who = f"the step {context.step}" if chosen is not None else f"to heal {context.step}"
            context.note(f"{node} had the address {self.address} already: {who} moved nothing")
            return
        where = {"address": held.address, "network": held.network}
        context.fault("address", "heal", held.node, **where)
        context.record(held.node, _GIVEN_UP, about=self.address, address=held.address)
        context.record(node, _TAKEN, about=self.address, address=held.address)
        context.fault("address", "apply", node, announce=self.announce, **where)
