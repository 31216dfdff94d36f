"""The verbs of steps, one file each. A new verb is a file, and a line here; see docs/dev/steps.md."""

from __future__ import annotations

import inspect

from orchestrator.scenario.steps.base import Effect, Verb

# One line each, in the order of messages and of the reference page.
# isort: off
from orchestrator.scenario.steps.request import Request as Request
from orchestrator.scenario.steps.raw import Raw as Raw
from orchestrator.scenario.steps.wait import Wait as Wait
from orchestrator.scenario.steps.awaiting import Await as Await
from orchestrator.scenario.steps.close import Close as Close
from orchestrator.scenario.steps.stop import Stop as Stop
from orchestrator.scenario.steps.kill import Kill as Kill
from orchestrator.scenario.steps.start import Start as Start
from orchestrator.scenario.steps.restart import Restart as Restart
from orchestrator.scenario.steps.reload import Reload as Reload
from orchestrator.scenario.steps.signal import Signal as Signal
from orchestrator.scenario.steps.pause import Pause as Pause
from orchestrator.scenario.steps.resume import Resume as Resume
from orchestrator.scenario.steps.link import Link as Link
from orchestrator.scenario.steps.drop import Drop as Drop
from orchestrator.scenario.steps.reject import Reject as Reject
from orchestrator.scenario.steps.partition import Partition as Partition
from orchestrator.scenario.steps.impair import Impair as Impair
from orchestrator.scenario.steps.mtu import Mtu as Mtu
from orchestrator.scenario.steps.flush import Flush as Flush
from orchestrator.scenario.steps.destroy import Destroy as Destroy
from orchestrator.scenario.steps.move import Move as Move
from orchestrator.scenario.steps.hosts import Hosts as Hosts
from orchestrator.scenario.steps.heal import Heal as Heal
from orchestrator.scenario.steps.exec import Exec as Exec
# isort: on

STEPS: tuple[type[Verb], ...] = tuple(
    kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, Verb) and not inspect.isabstract(kind)
)
"""What the lines above import: everything that deals with verbs is a loop over this."""

VERBS = tuple(step.verb for step in STEPS)

EFFECTS: dict[str, Effect] = {effect.recorded: effect for step in STEPS for effect in step.effects}
"""What a recording's `node` line says happened to a node -> what a step meant by it."""
