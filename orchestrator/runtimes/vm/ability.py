"""What the runtime vm can do: execute whole runs in a virtual machine, so it makes no nodes for anybody.

A killed simctl leaves nothing: a guest ends with it, and an image that was not finished is removed by the next one that
makes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import InputError
from orchestrator.runtimes.ability import Ability, Offer, StandingNode, Wanted

if TYPE_CHECKING:
    from orchestrator.kinds.registry import Kind
    from orchestrator.observe.abilities import Outcome
    from orchestrator.runtimes.base import Runtime
    from orchestrator.runtimes.check import Check
    from orchestrator.topology.model import Topology


class Vm(Ability):
    """Runs in a virtual machine whose clock skips waiting."""

    name = "vm"
    help = "the whole run happens in a virtual machine whose clock skips waiting"
    virtual_time = True
    needs = ("qemu", "vm image", "vm memory")

    def offer(self, topology: Topology, kinds: Mapping[str, Kind]) -> Offer:
        """Only for whoever asks for it: time passes there as nowhere else."""
        return Offer(False, "")

    def create(self, wanted: Wanted) -> Runtime:
        raise _whole_runs_only()

    def checks(self, machine: Outcome) -> list[Check]:
        from orchestrator.runtimes.vm.doctor import checks

        return checks()

    def exec(self, node: StandingNode, command: Sequence[str]) -> int:
        raise _whole_runs_only()


def _whole_runs_only() -> InputError:
    return InputError(
        "the runtime vm executes whole runs: a standing lab needs real time",
        hint="use --runtime netns or docker, or `simctl run`",
    )


ABILITY = Vm()
