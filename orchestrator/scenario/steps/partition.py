"""`partition`: two nodes that cannot reach each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Two nodes (or services, or networks) that cannot reach each other, in no direction, while each reaches all the
    others.

    Between two networks it is the second one that is lost to whatever joins them: the nodes that are on both (routers,
    NATs, proxies) and the other nodes of the second cannot reach each other.

    No kernel is told, and neighbours stay known: only TCP's own timers can notice. To cut a node off from all, use
    `link`.
    """

    verb = "partition"
    meaning = "two nodes, services or networks cannot reach each other"
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

    between: Pair = Field(
        description="two nodes (or services), or a node and a service: `[client, server]`; or two networks"
    )
    network: str | None = Field(None, description="only on this network; without: on all")

    def check(self, situation: Situation) -> None:
        members = situation.members
        if all(name in members and not situation.is_node(name) for name in self.between):
            self._check_networks(situation, members)
            return
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

    def _check_networks(self, situation: Situation, members: Mapping[str, Sequence[str]]) -> None:
        one, other = self.between
        joint = set(members[one]) & set(members[other])
        if one == other:
            situation.problem("a network cannot be cut off from itself", "name two that differ", "between")
        elif self.network is not None:
            situation.problem("`network` is for two nodes; `between` names networks already", "leave it out", "network")
        elif not joint:
            situation.problem(f"no node is on both {one} and {other}", "nothing passes between them anyway", "between")
        elif not set(members[other]) - joint:
            situation.problem(f"all nodes of {other} are on {one} too", "name them the other way round", "between")
        else:
            self.note(situation)

    def words(self) -> str:
        where = f" on {self.network}" if self.network else ""
        return f"packets between {self.between[0]} and {self.between[1]}{where}"

    def describe(self) -> str:
        return self.lasting(f"partition between {self.between[0]} and {self.between[1]}")

    def perform(self, context: Context) -> None:
        one, other = (list(context.nodes(name)) for name in self.between)
        network = self.network
        if not one or not other:
            first, network = self.between
            one = [node for node in context.members(first) if node in context.members(network)]
            other = [node for node in context.members(network) if node not in one]
        settings = {"rule": context.step, "sources": one, "targets": other, "both_ways": True, "network": network}
        self.carry_out(context, one[0], settings, packets=self.words(), nodes=[*one, *other])
