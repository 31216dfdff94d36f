"""`drop`: packets that get lost."""

from __future__ import annotations

from orchestrator.scenario.steps.base import Context, Effect
from orchestrator.scenario.steps.packets import Packets


class Drop(Packets):
    """Lose packets on their way between nodes: of a node, a direction, a port, of some kinds of TCP segments, the
    n-th or with a probability.

    Their sender's kernel has sent them and is told nothing, as with a network that loses them. Each that is lost is in
    the recording. `heal` takes it back, or `for`; at the end of the run it is over.
    """

    verb = "drop"
    meaning = "lose packets on their way"
    example = """\
steps:
  - name: eat
    drop: {from: server, to: client, flags: FIN}
  - name: idle
    wait: 10s
  - name: through
    heal: eat
  - name: lossy
    drop: {to: server, port: 8080, flags: [data, ACK], probability: 30%, for: 5s}
"""
    begins = Effect("drop", "dropped from now on", about_packets=True)
    over = Effect("drop over", "no longer dropped", about_packets=True)
    effects = (begins, over)

    def describe(self) -> str:
        return self.lasting(f"drop {self.words()}")

    def perform(self, context: Context) -> None:
        self.do(context, verdict="drop")
