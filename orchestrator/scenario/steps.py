"""The steps of a scenario: what happens, in order. Part of the language that model.py describes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orchestrator.scenario.fields import NAME, Name, Text, TrueOrFalse, Url, Whole
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.values import Duration
from orchestrator.text.suggest import describe


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Request(Model):
    """Requests by a client node: HTTP, or queries. The step ends when all have ended, whether they failed or not."""

    from_: Annotated[str, Field(alias="from", description="client node (or service: all its replicas)")]
    url: Url = Field(
        description="absolute URL, `http://`, `postgresql://` or `redis://`, as the client speaks it; "
        "the host is a node, a service or an alias"
    )
    session: Name | None = Field(None, description="named Session, kept open between steps; without: one-shot requests")
    count: Whole = Field(1, ge=1, description="how many requests, over all workers")
    concurrency: Whole = Field(1, ge=1, description="how many at the same time")
    interval: Duration = Field(0.0, description="pause between two requests of a worker")
    method: str = Field("GET", pattern=r"^[A-Z]+(-[A-Z]+)*$", description="HTTP method, in capitals")
    headers: dict[str, Text] = Field({}, description="request headers, added to the client's own")
    body: Text | None = Field(None, description="request body")
    timeout: Duration = Field(10.0, gt=0, description="of connecting and of each read")


class Close(Model):
    """Close a named Session of a client node, as leaving its `with` block does."""

    from_: Annotated[str, Field(alias="from", description="client node that holds the Session")]
    session: Name = Field(description="name that an earlier `request` gave it")


class Exec(Model):
    """Run a command in a node; a status other than 0 ends the run, and the output is kept in the run's folder.

    Under netns it runs on this machine, so it needs `--allow-exec`.
    """

    node: str = Field(description="where it runs")
    command: list[Text] = Field(min_length=1, description="program and arguments; no shell reads them")
    timeout: Duration = Field(30.0, gt=0, description="it is killed after this time, which ends the run")


class Link(Model):
    """Take a node off its network, or bring it back: a peer that vanishes.

    What it sends and what is sent to it is lost, and no kernel is told: interfaces, addresses and neighbours stay as
    they are, and only TCP's own timers can notice. What a node sends to itself arrives.
    """

    node: str = Field(description="the node (or service: all its replicas)")
    up: TrueOrFalse = Field(description="`false` cuts it off, `true` brings it back")
    network: str | None = Field(None, description="only its interface in this network; without: all of them")


VERBS = ("request", "wait", "close", "stop", "kill", "pause", "resume", "link", "exec")


class Step(Model):
    """One verb, and a name that makes its moments addressable."""

    name: str = Field(
        "", description="makes the moments `NAME.start` and `NAME.end`; without: `VERB-POSITION`, `wait-2`"
    )
    request: Request | None = Field(None, description="requests by a client node")
    wait: Duration | None = Field(None, description="let time pass; the nodes go on")
    close: Close | None = Field(None, description="close a named Session of a client node")
    stop: str | None = Field(None, description="SIGTERM to the node's program; waits until it ended")
    kill: str | None = Field(None, description="SIGKILL to the node's program")
    pause: str | None = Field(None, description="SIGSTOP: the node's kernel still answers, its program does not")
    resume: str | None = Field(None, description="SIGCONT to a paused node: its program goes on")
    link: Link | None = Field(None, description="take a node off its network, or bring it back")
    exec: Exec | None = Field(None, description="run a command in a node")

    @property
    def verb(self) -> str:
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @model_validator(mode="after")
    def _one_verb(self) -> Step:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            message = f"a step has exactly one verb, this one has {found}"
            raise Problems([Problem(tuple(given[1:2]), message, f"the verbs: {', '.join(VERBS)}")])
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name and (not NAME.fullmatch(name) or name in ("start", "end")):
            raise ValueError(
                f"{describe(name)} cannot name a step: use letters, digits, - and _, a letter first; not start or end"
            )
        return name
