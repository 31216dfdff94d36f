"""Runs the steps of a scenario in a lab: what each does is in orchestrator/scenario/steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from orchestrator.lab.channel import Channel
from orchestrator.lab.lab import Lab
from orchestrator.runtimes.base import ExecResult
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.steps.base import Effect
from orchestrator.text.progress import Progress

_SHORTEST = 0.05
"""Seconds between two looks at a lab."""


def run_steps(scenario: Scenario, lab: Lab, progress: Progress, logs: Path) -> None:
    """All steps in order. The end of one is the start of the next: both names share one moment."""
    lab.sample(on=True)
    lab.mark("start", f"{scenario.steps[0].name}.start")
    for position, step in enumerate(scenario.steps):
        progress(step.describe())
        lab.set_step(step.name)
        step.action.perform(LabContext(lab, step.name, logs))
        lab.check()
        last = position + 1 == len(scenario.steps)
        lab.mark(f"{step.name}.end", "end" if last else f"{scenario.steps[position + 1].name}.start")


@dataclass(frozen=True, slots=True)
class LabContext:
    """What one step may do in a lab; orchestrator/scenario/steps/base.py says what each method is for."""

    lab: Lab
    step: str
    logs: Path

    def nodes(self, name: str) -> Sequence[str]:
        return [node.name for node in self.lab.topology.resolve(name)]

    def command(self, nodes: Sequence[str], do: str, within: float | None = None, **fields: Any) -> None:
        deadline = None if within is None else time.monotonic() + within

        def check(channel: Channel) -> None:
            self.lab.check()
            if deadline is not None and time.monotonic() > deadline:
                raise channel.failure(
                    f"is still at it {within:g} s after the step {self.step} began",
                    hint="give the step longer with `within`, or each request less with `timeout`",
                )

        channels = [self.lab.channels[node] for node in nodes]
        commands = [(channel, channel.command(do, **fields)) for channel in channels]
        for channel, command_id in commands:
            every = self.lab.pace.check_every
            if deadline is not None:  # on a virtual clock there is much time between two looks
                every = min(every, max(_SHORTEST, deadline - time.monotonic()))
            channel.wait_done(command_id, partial(check, channel), every=every)

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, self.lab.pace.check_every))
            self.lab.check()

    def signal(self, node: str, number: int) -> None:
        self.lab.runtime.signal(node, number)

    def expect_end(self, node: str) -> None:
        self.lab.expect_end(node)

    def await_end(self, node: str, seconds: float, after: str) -> None:
        channel = self.lab.channels[node]
        if not channel.wait_exited(seconds):
            raise channel.failure(f"did not end within {seconds:g} s of {after}")

    def run_command(self, node: str, command: Sequence[str], seconds: float) -> ExecResult:
        return self.lab.runtime.exec(node, command, seconds)

    def keep(self, name: str, text: str) -> None:
        (self.logs / name).write_text(text)

    def fault(self, name: str, action: Literal["apply", "heal"], node: str, **settings: Any) -> None:
        self.lab.fault(name, action, node, **settings)

    def later(self, name: str, undo: Callable[[], None]) -> None:
        self.lab.undo[name] = undo

    def heal(self, name: str) -> None:
        undo = self.lab.undo.pop(name, None)
        if undo is not None:
            undo()

    def record(self, node: str, effect: Effect, **detail: Any) -> None:
        self.lab.node_event(node, effect.recorded, **detail)
