"""`partition`: two nodes that cannot reach each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.scenario.steps.base import Context, Effect, Situation
from orchestrator.scenario.steps.packets import Timed


def _two(names: list[str]) -> list[str]:
    if len(names) != 2:
        raise ValueError(f"expected two names, as [client, server], not {len(names)}")
    return names


Pair = Annotated[list[str], AfterValidator(_two), Field(json_schema_extra={"minItems": 2, "maxItems": 2})]


class Partition(Timed):
    """Two nodes (or services) that cannot reach each other, in no direction, while each reaches all others.

    No kernel is told, and neighbours stay known: only TCP's own timers can notice. To cut a node off from all, use
    `link`.
    """

    verb = "partition"
    meaning = "two nodes, or services, cannot reach each other"
    example = """\
steps:
  - name: split
    partition: {between: [client, server]}
  - name: still
    wait: 5s
  - name: joined
    heal: split
"""
    begins = Effect("partition", "lost from now on", about_packets=True)
    over = Effect("partition over", "no longer lost", about_packets=True)
    effects = (begins, over)
    fault = "packets"
    needs = ("packet rules",)

    between: Pair = Field(description="two nodes (or services), or a node and a service: `[client, server]`")
    network: str | None = Field(None, description="only on this network; without: on all")

    def check(self, situation: Situation) -> None:
        sides = [situation.nodes(name, "between") for name in self.between]
        if not all(sides):
            return
        if set(sides[0]) & set(sides[1]):
            situation.problem("a node cannot be cut off from itself", "name two that differ", "between")
            return
        networks = [{network for node in side for network in situation.networks(node)} for side in sides]
        if not networks[0] & networks[1]:
            message = f"{self.between[0]} and {self.between[1]} share no network"
            situation.problem(message, "name the router or proxy between them as one of the two", "between")
        elif self.network is not None and self.network not in networks[0] & networks[1]:
            both = ", ".join(sorted(networks[0] & networks[1]))
            situation.problem(
                f"{self.between[0]} and {self.between[1]} are not both on {self.network}", f"both: {both}", "network"
            )
        else:
            self.note(situation)

    def words(self) -> str:
        where = f" on {self.network}" if self.network else ""
        return f"packets between {self.between[0]} and {self.between[1]}{where}"

    def describe(self) -> str:
        return self.lasting(f"partition between {self.between[0]} and {self.between[1]}")

    def perform(self, context: Context) -> None:
        one, other = (list(context.nodes(name)) for name in self.between)
        settings = {
            "rule": context.step,
            "sources": one,
            "targets": other,
            "both_ways": True,
            "network": self.network,
        }
        self.carry_out(context, one[0], settings, packets=self.words(), nodes=[*one, *other])
