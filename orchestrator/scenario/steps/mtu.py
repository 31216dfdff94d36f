"""`mtu`: the largest packet of a link."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.scenario.fields import Whole
from orchestrator.scenario.steps.base import Context, Effect, Situation
from orchestrator.scenario.steps.packets import Timed
from orchestrator.text.suggest import shown, suggestion


class Mtu(Timed):
    """Set the MTU of a node's interface. On a router it is that of a link in the middle: what is larger is answered
    with an ICMP message, from which the sender learns the MTU of the path. Where that is dropped too
    (`drop: {from: router, to: client, protocol: icmp}`), large packets vanish, and small ones pass: a black hole.
    """

    verb = "mtu"
    meaning = "set the MTU of a node's link"
    example = """\
steps:
  - name: narrow
    mtu: {node: server, bytes: 1280}
  - name: wide
    heal: narrow
"""
    begins = Effect("mtu", "from now on", about_packets=True)
    over = Effect("mtu over", "no longer so", about_packets=True)
    effects = (begins, over)
    fault: ClassVar[str] = "mtu"

    node: str = Field(description="the node (or service: all its replicas)")
    bytes: Whole = Field(ge=576, le=1500, description="the largest IPv4 packet, its header counted; it is 1500 without")
    network: str | None = Field(None, description="only its interface in this network; without: all of them")

    def check(self, situation: Situation) -> None:
        for node in situation.nodes(self.node, "node"):
            own = situation.networks(node)
            if self.network is not None and self.network not in own:
                message = f"{node} is not on a network {shown(self.network)}"
                situation.problem(message, suggestion(self.network, own), "network")
                return
            if not own:
                situation.problem(f"{node} is on no network, so it has no link", None, "node")
                return
        self.note(situation)

    def words(self) -> str:
        where = f" on {self.network}" if self.network else ""
        return f"MTU of {self.node}{where} of {self.bytes} bytes"

    def describe(self) -> str:
        return self.lasting(self.words())

    def perform(self, context: Context) -> None:
        nodes = list(context.nodes(self.node))
        settings = {"rule": context.step, "nodes": nodes, "bytes": self.bytes, "network": self.network}
        self.carry_out(context, nodes[0], settings, packets=self.words(), nodes=nodes)
