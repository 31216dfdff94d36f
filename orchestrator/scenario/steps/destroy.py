"""`destroy`: connections that are closed from outside."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.fields import Whole
from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation

_BEGUN = Effect("destroying", "made to abort connections")
_DONE = Effect("destroyed")
"""History reads both, in history/destroyed.py: what happens in between is not the program's doing."""


class Destroy(Fields):
    """Close connections of a node from outside, as `ss -K` does: its kernel aborts those that match, the peer gets a
    RST, and the program ECONNABORTED when it uses the socket next.

    The kernel must have CONFIG_INET_DIAG_DESTROY; where it has not the run is refused before anything starts.
    """

    verb = "destroy"
    meaning = "close connections of a node from outside, as ss -K does"
    example = """\
steps:
  - name: cut
    destroy: {node: client, peer: server, port: 8080}
"""
    effects = (_BEGUN, _DONE)
    needs = ("closing from outside",)

    node: str = Field(description="the node (or service: all its replicas) whose sockets are closed")
    peer: str | None = Field(None, description="only connections with this node (or service)")
    port: Whole | None = Field(None, ge=1, le=65535, description="only those with this port at either end")

    def check(self, situation: Situation) -> None:
        situation.nodes(self.node, "node")
        if self.peer is not None:
            situation.nodes(self.peer, "peer")

    def words(self) -> str:
        port = f" of port {self.port}" if self.port is not None else ""
        return f"connections{port}" + (f" with {self.peer}" if self.peer is not None else "")

    def describe(self) -> str:
        return f"destroy {self.words()} in {self.node}"

    def perform(self, context: Context) -> None:
        peers = None if self.peer is None else [a for node in context.nodes(self.peer) for a in context.addresses(node)]
        for node in context.nodes(self.node):
            context.record(node, _BEGUN, peer=self.peer, port=self.port)
            count = context.fault("destroy", "apply", node, peers=peers, port=self.port)
            context.record(node, _DONE, count=count)
            if not count:
                context.note(f"the step {context.step} closed nothing: {node} had no {self.words()}")
