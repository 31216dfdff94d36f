"""What the verbs share that send a signal to a node's program."""

from __future__ import annotations

from typing import ClassVar

from pydantic import RootModel

from orchestrator.scenario.steps.base import Context, Effect, Situation, Verb

_END_TIMEOUT = 30.0
"""Seconds that a program may take to end."""


class Signals(RootModel[str], Verb):
    """A verb that takes a node, and sends its program this signal."""

    number: ClassVar[int]
    effect: ClassVar[Effect]

    def describe(self) -> str:
        return f"{self.verb} {self.root}"

    def perform(self, context: Context) -> None:
        for node in context.nodes(self.root):
            context.signal(node, self.number)
            context.record(node, self.effect)


class Ends(Signals):
    """A signal that is to end the program. The step waits until it did."""

    awake: ClassVar[bool]
    """Whether the program has to be running for that."""

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.root, awake=self.awake):
            situation.earlier.gone[node] = situation.step

    def perform(self, context: Context) -> None:
        nodes = context.nodes(self.root)
        for node in nodes:
            context.expect_end(node)
            context.record(node, self.effect)
            context.signal(node, self.number)
        for node in nodes:
            context.await_end(node, _END_TIMEOUT, f"being {self.effect.words}")
