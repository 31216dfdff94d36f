"""The scenario: a topology, steps and expectations. What it *is*, apart from what time does to it.

These pydantic models are the language. The loader adds file, line and column to their errors; `simctl schema`
prints the JSON Schema that they generate.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from orchestrator.scenario.facts import FACTS, LEGAL_WHENS, FactKind, TcpState
from orchestrator.scenario.values import Duration, DurationRange, Moment, Range, Window

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""Names of steps and sessions; they appear in moments and in file names."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Request(Model):
    """HTTP requests by a client node."""

    from_: Annotated[str, Field(alias="from", description="client node (or service: all its replicas)")]
    url: str = Field(description="absolute http URL; the host is a node, a service or an alias")
    session: str | None = Field(None, description="named Session, kept open between steps; without: one-shot requests")
    count: int = Field(1, ge=1, description="how many requests, over all workers")
    concurrency: int = Field(1, ge=1, description="how many at the same time")
    interval: Duration = Field(0.0, description="pause between two requests of a worker")
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    timeout: Duration = Field(10.0, description="of connecting and of each read")


class Close(Model):
    """Close a named Session of a client node, as leaving its `with` block does."""

    from_: Annotated[str, Field(alias="from")]
    session: str


class Exec(Model):
    """Run a command in a node. Under netns it runs on this machine, so it needs `--allow-exec`."""

    node: str
    command: list[str] = Field(min_length=1)
    timeout: Duration = 30.0


VERBS = ("request", "wait", "close", "stop", "kill", "pause", "resume", "exec")


class Step(Model):
    """One verb, and a name that makes its moments addressable."""

    name: str = ""
    """Filled in by the scenario when the file gives none: the verb and the position, `wait-2`."""
    request: Request | None = None
    wait: Duration | None = None
    close: Close | None = None
    stop: str | None = Field(None, description="SIGTERM to the node's program; waits until it ended")
    kill: str | None = Field(None, description="SIGKILL to the node's program")
    pause: str | None = Field(None, description="SIGSTOP: the node's kernel still answers, its program does not")
    resume: str | None = Field(None, description="SIGCONT")
    exec: Exec | None = None

    @property
    def verb(self) -> str:
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @model_validator(mode="after")
    def _one_verb(self) -> Step:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a step has one verb ({', '.join(VERBS)}), not {len(given)}{': ' if given else ''}{', '.join(given)}"
            )
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name and (not NAME.fullmatch(name) or name in ("start", "end")):
            raise ValueError(f"{name!r} cannot name a step: use letters, digits, - and _; not start or end")
        return name


State = Literal[
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSE_WAIT",
    "LAST_ACK",
    "CLOSING",
    "TIME_WAIT",
    "LISTEN",
]


class NodeFacts(Model):
    """What is expected of one node. What is not named is not asserted."""

    SYN_SENT: Range | None = None
    SYN_RECV: Range | None = None
    ESTABLISHED: Range | None = None
    FIN_WAIT1: Range | None = None
    FIN_WAIT2: Range | None = None
    CLOSE_WAIT: Range | None = None
    LAST_ACK: Range | None = None
    CLOSING: Range | None = None
    TIME_WAIT: Range | None = None
    LISTEN: Range | None = None
    others: Range | None = None
    recv_q: dict[State, Range] | None = None
    send_q: dict[State, Range] | None = None
    connections: Range | None = None
    requests: Range | None = None
    errors: Range | dict[str, Range] | None = None
    served: Range | None = None
    closed_by: dict[str, Range] | None = None
    first_fin: Range | None = None
    resets: Range | None = None
    retransmits: Range | None = None
    requests_per_connection: Range | None = None
    lasts: dict[State, DurationRange] | None = None

    def named(self) -> dict[str, Any]:
        """The facts that were given: name -> Range, or mapping of ranges."""
        return {name: value for name in FACTS if (value := getattr(self, name)) is not None}


class Where(Model):
    """Which sockets and connections count. All that is given must match."""

    port: int | None = Field(None, ge=1, le=65535, description="local or peer port")
    peer: str | None = Field(None, description="node, service or address at the other end")
    owner: str | None = Field(None, description="name of the program that owns the socket, as ss shows it")


WHENS = ("at", "always", "never", "eventually", "over")


class Expectation(Model):
    """One sentence with facts. Every key that is not one of its own must be a node."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, NodeFacts] = Field(init=False)

    that: str = Field(min_length=1, description="the sentence, as a person would say it")
    where: Where | None = None
    at: Moment | None = None
    always: Window | None = None
    never: Window | None = None
    eventually: Window | None = None
    for_: Annotated[Duration | None, Field(alias="for", description="with eventually: how long it must hold")] = None
    over: Window | None = None

    @property
    def nodes(self) -> dict[str, NodeFacts]:
        return self.__pydantic_extra__

    @property
    def when(self) -> tuple[str, Moment | Window] | None:
        """The *when* that was given: its name and its moment or window."""
        return next(((name, value) for name in WHENS if (value := getattr(self, name)) is not None), None)

    @model_validator(mode="after")
    def _legal(self) -> Expectation:
        given = [name for name in WHENS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"an expectation has at most one when, not {' and '.join(given)}")
        if self.for_ is not None and self.eventually is None:
            raise ValueError("`for` goes with `eventually`")
        if not self.nodes:
            raise ValueError("an expectation needs at least one node with facts")
        when = given[0] if given else None
        for node, facts in self.nodes.items():
            named = facts.named()
            if not named:
                raise ValueError(f"{node} has no facts")
            for fact in named:
                _check_kind(node, fact, when)
            if when == "never":
                _check_never(node, named)
        return self


def _check_kind(node: str, fact: str, when: str | None) -> None:
    kind = FACTS[fact][0]
    if when is None or when in LEGAL_WHENS[kind]:
        return
    use = " or ".join(LEGAL_WHENS[kind])
    raise ValueError(f"{node}: {fact} is a {kind.value}, so `{when}` does not fit it: use {use}")


def _check_never(node: str, named: dict[str, Any]) -> None:
    for fact, value in named.items():
        if FACTS[fact][0] is not FactKind.GAUGE or value != Range(0, 0):
            raise ValueError(f"{node}: `never` means always 0, so {fact} must be a number of sockets, and 0")


def _scalars_to_text(value: object) -> object:
    """Compose variables are text; YAML may have read `8080` as a number and `true` as a boolean."""
    if isinstance(value, dict):
        return {
            key: {True: "true", False: "false"}.get(item, str(item)) if isinstance(item, bool) else str(item)
            for key, item in value.items()
            if item is not None
        }
    return value


class Scenario(Model):
    """A scenario file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    title: str = ""
    why: str = Field("", description="why anybody should care: what people meet in production")
    source: list[str] = Field([], description="where the incident was reported")
    topology: str = Field(description="path of the Compose file, relative to this file")
    set: Annotated[dict[str, str], BeforeValidator(_scalars_to_text)] = Field(
        {}, description="variables of the Compose file; `simctl run --set` overrides"
    )
    steps: list[Step] = Field(min_length=1)
    expect: list[Expectation] = []

    @field_validator("steps")
    @classmethod
    def _name_steps(cls, steps: list[Step]) -> list[Step]:
        named = [
            step if step.name else step.model_copy(update={"name": f"{step.verb}-{position}"})
            for position, step in enumerate(steps, 1)
        ]
        seen: set[str] = set()
        for step in named:
            if step.name in seen:
                raise ValueError(f"two steps are named {step.name!r}: moments such as {step.name}.end need one")
            seen.add(step.name)
        return named


__all__ = ["Close", "Exec", "Expectation", "NodeFacts", "Request", "Scenario", "Step", "TcpState", "Where"]
