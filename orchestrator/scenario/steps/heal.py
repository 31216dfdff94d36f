"""`heal`: takes back what an earlier step did to the network."""

from __future__ import annotations

from pydantic import RootModel

from orchestrator.scenario.steps.base import Context, Situation, Verb
from orchestrator.text.suggest import shown, suggestion

_VERBS = ("drop", "reject", "partition", "impair", "mtu", "move", "hosts")


class Heal(RootModel[str], Verb):
    """Take back what an earlier step did: a `drop`, `reject`, `partition`, `impair`, `mtu`, `move` or `hosts`, by the
    name of that step.

    What is not healed is over when the run is.
    """

    verb = "heal"
    meaning = "take back what an earlier step did to the network"
    example = """\
steps:
  - name: eat
    drop: {from: server, flags: FIN}
  - name: through
    heal: eat
"""

    def check(self, situation: Situation) -> None:
        faults = situation.earlier.faults
        found = faults.get(self.root)
        if found is None:
            message = f"no earlier step {shown(self.root)} did anything that can be healed"
            hint = f"steps that do: {', '.join(_VERBS)}; a `link` is brought back by `up: true`"
            situation.problem(message, suggestion(self.root, list(faults)) if faults else hint)
        elif found.heals_itself:
            situation.problem(f"the step {self.root} has `for`, so it takes its {found.verb} back itself", None)
        elif found.healed_by is not None:
            situation.problem(f"the {found.verb} of {self.root} is healed by the step {found.healed_by} already", None)
        else:
            found.healed_by = situation.step

    def describe(self) -> str:
        return f"heal {self.root}"

    def perform(self, context: Context) -> None:
        context.heal(self.root)
