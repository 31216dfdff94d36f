"""`await`: until a step in the background has ended."""

from __future__ import annotations

from pydantic import RootModel

from orchestrator.scenario.fields import Name
from orchestrator.scenario.steps.base import Context, Situation, Verb
from orchestrator.text.suggest import suggestion


class Await(RootModel[Name], Verb):
    """Wait until a step that runs in the background has ended; at once when it has ended already.

    A step is awaited once. One that fails ends the run, whether it is awaited or not.
    """

    verb = "await"
    meaning = "wait until a step in the background has ended"
    example = """\
steps:
  - name: slow
    background: true
    request: {from: client, url: "http://server:8080/delay/2000"}
  - name: under-way
    wait: 500ms
  - name: drain
    stop: server
  - name: answered
    await: slow
"""

    @property
    def awaits(self) -> str:
        return self.root

    def check(self, situation: Situation) -> None:
        running = situation.earlier.running
        if self.root not in running:
            hint = suggestion(self.root, list(running)) or "a step with `background: true` or `at` before it is one"
            situation.problem(f"no step {self.root} runs in the background here", hint)
            return
        situation.can_end(self.root)
        running.pop(self.root, None)

    def describe(self) -> str:
        return f"await {self.root}"

    def perform(self, context: Context) -> None:
        context.await_step(self.root)
