"""`signal`: a program is told something."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation
from orchestrator.text.suggest import describe, suggestion

SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "USR1": 10, "USR2": 12, "ALRM": 14, "TERM": 15, "TSTP": 20, "TTIN": 21,
    "TTOU": 22, "WINCH": 28,
}  # fmt: skip
"""signal(7), with the numbers of x86 and ARM: the lab's machine, not that of whoever reads the file, has to know
them."""

_VERBS = {"KILL": "kill", "STOP": "pause", "CONT": "resume"}
"""What other steps do, and then know that they did."""

_EFFECTS = {name: Effect(f"signal {name}", f"sent SIG{name}") for name in SIGNALS}


def _known(text: str) -> str:
    name = text.upper().removeprefix("SIG")
    if name in _VERBS:
        raise ValueError(f"SIG{name} is the step `{_VERBS[name]}`")
    if name not in SIGNALS:
        raise ValueError(f"{describe(text)} is no signal that a step sends: {suggestion(name, SIGNALS)}")
    return name


class Signal(Fields):
    """Send a signal to the main program of a node (or service: to that of each replica), and to no child of it.

    What it does is the program's affair: nginx drains at QUIT, reopens logs at USR1; gunicorn gets a worker more at
    TTIN. The step does not wait. A program that ends of it is a node that `start` can bring back.
    """

    verb = "signal"
    meaning = "any other signal to the node's main program"
    example = """\
steps:
  - name: drain
    signal: {node: server, signal: QUIT}
"""
    effects = tuple(_EFFECTS.values())

    node: str = Field(description="the node (or service: all its replicas)")
    signal: Annotated[str, AfterValidator(_known)] = Field(description=f"{', '.join(SIGNALS)}; with `SIG` or without")

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.node, "node"):
            situation.earlier.perhaps_gone[node] = situation.step

    def describe(self) -> str:
        return f"SIG{self.signal} to {self.node}"

    def perform(self, context: Context) -> None:
        for node in context.running(context.nodes(self.node)):
            if self.signal in ("INT", "QUIT", "ABRT", "TERM"):
                context.expect_end(node)
            context.record(node, _EFFECTS[self.signal])
            context.signal(node, SIGNALS[self.signal], alone=True)
