"""What the runtime netns can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.runtimes.ability import Ability, Offer, Report, StandingNode, Wanted

if TYPE_CHECKING:
    from orchestrator.kinds.registry import Kind
    from orchestrator.observe.abilities import Outcome
    from orchestrator.runtimes.base import Runtime
    from orchestrator.runtimes.check import Check
    from orchestrator.topology.model import Topology


class Netns(Ability):
    """Nodes as processes of this machine, each with namespaces of its own."""

    name = "netns"
    help = "nodes are processes of this machine"
    runs_here = True
    needs = ("wiring", "socket tables")

    def offer(self, topology: Topology, kinds: Mapping[str, Kind]) -> Offer:
        """Needs nothing but Linux: what this one lacks is said when the lab comes up."""
        return Offer(True, "")

    def likely(self) -> bool:
        return True

    def begin(self, scenario: str) -> None:
        from orchestrator.observe import localprobe
        from orchestrator.runtimes.likelykinds import likely_kinds
        from orchestrator.runtimes.netns import spawnerprocess

        spawnerprocess.begin(likely_kinds(scenario))
        localprobe.begin()

    def create(self, wanted: Wanted) -> Runtime:
        from orchestrator.kinds.prepare import prepare
        from orchestrator.runtimes.netns.runtime import NetnsRuntime

        runtime = NetnsRuntime(wanted.kinds, allow_exec=wanted.allow_exec)
        runtime.check(wanted.topology.nodes)
        prepare(wanted.used_kinds.values(), wanted.progress)
        if wanted.ahead is not None:
            runtime.stand_by(wanted.ahead)
        return runtime

    def checks(self, machine: Outcome) -> list[Check]:
        from orchestrator.runtimes.netns.doctor import checks

        return checks()

    def clean(self, report: Report) -> Iterable[str]:
        from orchestrator.runtimes.netns.clean import clean

        return clean(report)

    def exec(self, node: StandingNode, command: Sequence[str]) -> int:
        from orchestrator.runtimes.netns.walled import with_terminal

        return with_terminal(node.pid, command, user_namespace=node.rootless)


ABILITY = Netns()
