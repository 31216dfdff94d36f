"""Runs the steps of a scenario in a lab: what each does is in orchestrator/scenario/steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import NodeFailure
from orchestrator.lab.channel import Channel
from orchestrator.lab.lab import Lab
from orchestrator.run.beside import Beside
from orchestrator.runtimes.base import ExecResult
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps.base import Effect, Held
from orchestrator.text.progress import Progress
from orchestrator.text.record import record

_SHORTEST = 0.05
"""Seconds between two looks at a lab."""


def run_steps(scenario: Scenario, lab: Lab, progress: Progress, logs: Path) -> None:
    """All steps in order. The end of one is the start of the next: both names share one moment. So do the starts of
    steps in the background, which begin before the step that they stand before."""
    lab.sample(on=True)
    telling = threading.Lock()

    def perform(step: Step, begun: threading.Event) -> None:
        with telling:
            progress(step.describe())
        step.action.perform(LabContext(lab, step.name, logs, beside, begun))

    beside = Beside(lab, scenario.steps, perform)
    with beside.until_the_end():
        ended = ["start"]
        background: list[Step] = []
        for step in scenario.steps:
            if step.at is None:
                background.append(step)
                if not step.beside:
                    beside.mark(*ended, *(f"{each.name}.start" for each in background))
                    for each in background[:-1]:
                        beside.start(each)
                    perform(step, threading.Event())
                    beside.check()
                    ended, background = [f"{step.name}.end"], []
        if background or ended == ["start"]:
            beside.mark(*ended, *(f"{each.name}.start" for each in background))
            for each in background:
                beside.start(each)
            ended = []
        beside.finish(*ended)


@record
class LabContext:
    """What one step may do in a lab; orchestrator/scenario/steps/base.py says what each method is for."""

    lab: Lab
    step: str
    logs: Path
    beside: Beside
    begun: threading.Event = field(default_factory=threading.Event)
    """Set when the steps after one in the background may begin."""

    def nodes(self, name: str) -> Sequence[str]:
        return [node.name for node in self.lab.topology.resolve(name)]

    def members(self, network: str) -> Sequence[str]:
        return self.lab.topology.members[network]

    def command(self, nodes: Sequence[str], do: str, within: float | None = None, **fields: Any) -> None:
        for channel in (self.lab.channels[node] for node in nodes):
            if not channel.alive and not self.lab.events.expects_end(channel.name):
                raise channel.failure(f"ended before the step {self.step} ({channel.exited or 'its output closed'})")
        nodes = self.running(nodes)
        deadline = None if within is None else time.monotonic() + within

        def check(channel: Channel) -> None:
            self.beside.check()
            if deadline is not None and time.monotonic() > deadline:
                raise channel.failure(
                    f"is still at it {within:g} s after the step {self.step} began",
                    hint="give the step longer with `within`, or each request less with `timeout`",
                )

        self.beside.check()
        channels = [self.lab.channels[node] for node in nodes]
        commands = [(channel, channel.command(do, self.step, **fields)) for channel in channels]
        self.begun.set()
        for channel, command_id in commands:
            every = self.lab.pace.check_every
            if deadline is not None:  # on a virtual clock there is much time between two looks
                every = min(every, max(_SHORTEST, deadline - time.monotonic()))
            try:
                channel.wait_done(command_id, partial(check, channel), every=every)
            except NodeFailure:
                if channel.alive or not self.lab.events.expects_end(channel.name):
                    raise
                self.lab.session.note(
                    f"a step ended the program of {channel.name} while it was at the step {self.step}: what it had not "
                    "reported by then is not known"
                )

    def wait(self, seconds: float) -> None:
        self.begun.set()
        self.beside.pause(seconds)

    def await_step(self, name: str) -> None:
        self.beside.wait_for(name)

    def running(self, nodes: Sequence[str], *, noted: bool = True) -> Sequence[str]:
        found = []
        for channel in (self.lab.channels[node] for node in nodes):
            if channel.alive:
                found.append(channel.name)
            elif noted:
                how = channel.exited or "its output is closed"
                self.note(f"the step {self.step} did nothing to {channel.name}: its program had ended before ({how})")
        return found

    def signal(self, node: str, number: int, *, alone: bool = False) -> None:
        self.beside.check()
        self.lab.runtime.signal(node, number, alone=alone)

    def expect_end(self, node: str) -> None:
        self.lab.expect_end(node)

    def await_end(self, node: str, seconds: float, after: str) -> None:
        self.begun.set()
        channel, deadline = self.lab.channels[node], time.monotonic() + seconds
        while not channel.wait_exited(min(self.lab.pace.check_every, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise channel.failure(f"did not end within {seconds:g} s of {after}")
            self.beside.check()

    def still_running(self, nodes: Sequence[str], seconds: float) -> Sequence[str]:
        deadline = time.monotonic() + seconds
        channels = [self.lab.channels[node] for node in nodes]
        return [channel.name for channel in channels if not channel.wait_exited(max(0, deadline - time.monotonic()))]

    def start_programs(self, nodes: Sequence[str], knobs: Mapping[str, str], *, may_fail: bool) -> None:
        self.lab.start_programs(nodes, knobs, may_fail=may_fail)

    def reload(self, node: str, knobs: Mapping[str, str]) -> None:
        self.lab.reload(node, knobs)

    def note(self, text: str) -> None:
        self.lab.session.note(text)

    def run_command(self, node: str, command: Sequence[str], seconds: float) -> ExecResult:
        self.beside.check()
        self.begun.set()
        return self.lab.runtime.exec(node, command, seconds)

    def keep(self, name: str, text: str) -> None:
        (self.logs / name).write_text(text)

    def fault(self, name: str, action: Literal["apply", "heal"], node: str, **settings: Any) -> int | None:
        self.beside.check()
        return self.lab.fault(name, action, node, **settings)

    def addresses(self, node: str) -> Sequence[str]:
        return self.lab.names.addresses(node)

    def virtual(self, name: str) -> Held:
        return self.lab.names.virtual(name)

    def choose(self, name: str, node: str | None) -> str:
        return self.lab.names.choose(name, self.step, node)

    def set_hosts(self, node: str, names: Mapping[str, Sequence[str]] | None) -> None:
        self.beside.check()
        self.lab.names.set(node, self.step, names)

    def later(self, name: str, undo: Callable[[], None]) -> None:
        self.lab.undo[name] = undo

    def heal(self, name: str) -> None:
        undo = self.lab.undo.pop(name, None)
        if undo is not None:
            undo()
        elif name != self.step:  # what has `for` may be over already, the run too
            self.note(f"the step {self.step} healed nothing: {name} had not yet done what it does")

    def record(self, node: str, effect: Effect, **detail: Any) -> None:
        self.lab.node_event(node, effect.recorded, **detail)
