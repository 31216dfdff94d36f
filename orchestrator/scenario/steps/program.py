"""What the verbs share that are about a node's program: signals to it, its end, its next start."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orchestrator.scenario.fields import Word
from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation
from orchestrator.scenario.values import Duration
from orchestrator.text.durations import format_duration
from orchestrator.text.suggest import describe

STOPPED = Effect("stopped", "stopped", ends_program=True)
KILLED = Effect("killed", "killed", ends_program=True)
STARTED_AGAIN = Effect("started again", "started again")

GRACE = 30.0
"""Seconds that a program which is asked to end gets before it is killed: what Kubernetes gives it too."""

_KILL_TIMEOUT = 30.0
"""Seconds that a killed program may take to end: its kernel has to close what it had open."""

_KNOBS = 64
_VALUE = 1000

Knobs = Annotated[dict[str, Annotated[Word, Field(max_length=_VALUE)]], Field(max_length=_KNOBS)]
"""Knobs of a node's kind -> their new values."""

Grace = Annotated[Duration, Field(gt=0)]


class OfNode(Fields):
    """A mapping that may be written as the name of its `node` alone, where nothing else is to be said."""

    node: str = Field(description="the node (or service: all its replicas)")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"node": value}
        if not isinstance(value, dict | cls):
            raise ValueError(f"expected the name of a node, or a mapping with `node`, not {describe(value)}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        mapping = dict(schema)
        schema.clear()
        schema.update({"anyOf": [{"type": "string", "description": "the node"}, mapping]})
        return reference

    def describe(self) -> str:
        return f"{self.verb} {self.node}"


class Signals(OfNode):
    """A verb that sends a node's program this signal."""

    number: ClassVar[int]
    effect: ClassVar[Effect]

    def perform(self, context: Context) -> None:
        for node in context.running(context.nodes(self.node)):
            context.signal(node, self.number)
            context.record(node, self.effect)


def gone(situation: Situation, node: str) -> None:
    """From this step on the node's program does not run, and what it had in memory is lost."""
    situation.earlier.gone[node] = situation.step
    situation.earlier.perhaps_gone.pop(node, None)
    situation.earlier.paused.pop(node, None)
    situation.earlier.sessions.pop(node, None)


def back(situation: Situation, node: str, *, may_fail: bool) -> None:
    """From this step on it runs again; or it may."""
    situation.earlier.gone.pop(node, None)
    if may_fail:
        situation.earlier.perhaps_gone[node] = situation.step
    else:
        situation.earlier.perhaps_gone.pop(node, None)


def can_start_again(situation: Situation, nodes: Sequence[str]) -> bool:
    """Whether the namespaces of these nodes outlive their programs; else that is noted."""
    foreign = [node for node in nodes if situation.kind(node) is None]
    if foreign:
        message = (
            f"{foreign[0]} is an image of its own, whose network ends with its program: it cannot be started again"
        )
        situation.problem(message, "a node kind (`image: simctl/KIND`) can: its network outlives its program", "node")
    return not foreign


def end(context: Context, nodes: Sequence[str], grace: float) -> None:
    """SIGTERM to all; SIGKILL to those that run `grace` seconds later, which is recorded and told."""
    for node in nodes:
        context.expect_end(node)
        context.record(node, STOPPED)
        context.signal(node, signal.SIGTERM)
    for node in context.still_running(nodes, grace):
        context.note(f"{node} did not end within {format_duration(grace)} of SIGTERM, so it was killed")
        kill(context, node)
    for node in nodes:
        await_killed(context, node)


def kill(context: Context, node: str) -> None:
    """SIGKILL to all of a program's processes. Wait for its end yourself."""
    context.expect_end(node)
    context.record(node, KILLED)
    context.signal(node, signal.SIGKILL)


def await_killed(context: Context, node: str) -> None:
    context.await_end(node, _KILL_TIMEOUT, "being killed")


def start_again(context: Context, nodes: Sequence[str], knobs: dict[str, str], *, may_fail: bool) -> None:
    """Start the programs of nodes whose programs have ended, with these knobs changed, and wait until each is ready; or
    has ended, where it may."""
    for node in context.still_running(nodes, GRACE):  # a signal may have asked it to end
        context.await_end(node, 0, "`start`: it runs still, and what runs cannot be started")
    for node in nodes:
        context.record(node, STARTED_AGAIN, **knobs)
    context.start_programs(nodes, knobs, may_fail=may_fail)
