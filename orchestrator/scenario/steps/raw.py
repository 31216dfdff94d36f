"""`raw`: TCP connections that do what the step says, action by action."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from orchestrator.bounds import CONCURRENCY, COUNT, FILLING
from orchestrator.scenario.fields import Model, Name, Text, Whole
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.steps.base import Context, Fields, Situation
from orchestrator.scenario.values import Duration
from orchestrator.text.durations import format_duration
from orchestrator.text.numbers import plural
from orchestrator.text.suggest import describe, suggestion

_PATIENCE = 600.0
_TO = re.compile(r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<port>[0-9]{1,5})")

ENDINGS = ("half-close", "close", "reset")


def _ending(value: object) -> object:
    if value not in ENDINGS:
        wanted = f"{', '.join(ENDINGS)}, or an action such as `wait: 1s`"
        raise ValueError(f"expected {wanted}, not {describe(value)}")
    return value


Ending = Annotated[Literal["half-close", "close", "reset"], BeforeValidator(_ending)]
"""shutdown(SHUT_WR): a FIN, and it still reads; close(): a FIN; close() with SO_LINGER 0: a RST."""


class Action(Model):
    """An action is exactly one of `send`, `read` and `wait`, and how it is done."""

    send: Text | None = Field(None, description="write this text; `\\r\\n` between double quotes ends a line of HTTP")
    fill: Whole | None = Field(
        None, ge=1, le=FILLING.limit, description="with `send`: write so many bytes more, which are made up"
    )
    read: Literal["response", "continue", "data", "end"] | None = Field(
        None,
        description="wait for HTTP responses, a 100 Continue, anything at all, or the end: the peer's FIN; what comes "
        "before that is thrown away",
    )
    count: Whole | None = Field(None, ge=1, le=COUNT.limit, description="with `read: response`: how many; without: 1")
    wait: Duration | None = Field(None, description="do nothing: nothing is written, nothing is read")
    bytes: Whole | None = Field(
        None,
        ge=1,
        le=1 << 20,
        description="with `send` and `read`: so many at a time, each by a call of its own",
    )
    every: Duration | None = Field(None, gt=0, description="with `bytes`: how long from one to the next")
    timeout: Duration | None = Field(
        None, gt=0, description="of each write and read here, instead of the `timeout` of the step"
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Action:
        given = [name for name in ("send", "read", "wait") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"an action is one of send, read and wait, and this one has {found}")
        fitting = {"send": ("fill", "bytes", "every", "timeout"), "read": ("bytes", "every", "timeout"), "wait": ()}
        fits = (*fitting[given[0]], *(("count",) if self.read == "response" else ()))
        problems = [
            Problem((name,), f"`{name}` means nothing to `{given[0]}: {getattr(self, given[0])}`"[:200], "remove it")
            for name in ("fill", "count", "bytes", "every", "timeout")
            if name in self.model_fields_set and name not in fits
        ]
        if not problems and (self.every is None) != (self.bytes is None) and self.bytes is None:
            problems = [Problem(("every",), "`every` is the pause between pieces of so many `bytes`", "add `bytes`")]
        if problems:
            raise Problems(problems)
        return self

    @property
    def seconds(self) -> float:
        """How long it takes at least."""
        if self.send is not None and self.every is not None and self.bytes is not None:
            return (math.ceil((len(self.send.encode()) + (self.fill or 0)) / self.bytes) - 1) * self.every
        return self.wait or 0.0

    def command(self) -> dict[str, Any]:
        """As nodes/README.md has it."""
        paced: dict[str, Any] = {"bytes": self.bytes, "every": self.every, "timeout": self.timeout}
        if self.send is not None:
            found = {"do": "send", "text": self.send, "fill": self.fill, **paced}
        elif self.read is not None:
            found = {"do": "read", "until": self.read, "count": self.count, **paced}
        else:
            found = {"do": "wait", "time": self.wait}
        return {name: value for name, value in found.items() if value is not None}


def _form(value: object) -> str:
    return "action" if isinstance(value, dict | Action) else "ending"


def _endpoint(text: str) -> str:
    found = _TO.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise ValueError(f"expected host:port such as server:8080, not {describe(text)}")
    return text


_PATTERN = re.sub(r"\?P<\w+>", "", _TO.pattern)
Endpoint = Annotated[str, AfterValidator(_endpoint), Field(json_schema_extra={"pattern": f"^{_PATTERN}$"})]
Step = Annotated[
    Annotated[Ending, Tag("ending")] | Annotated[Action, Tag("action")],
    Discriminator(_form),
]


class Raw(Fields):
    """TCP connections by a client of the kind `raw`, which do what no library would: each opens, does the actions in
    their order, and is closed when the last is done. The first that goes wrong ends the exchange.

    `do: []` connects, and closes with a FIN: as a health check that looks no further. HTTP requests in what is sent are
    requests like any other; one that the step itself gave up before its response was whole failed with `Aborted`.
    """

    verb = "raw"
    meaning = "TCP connections that send, read, wait and close as they are told, by a client of the kind `raw`"
    example = """\
steps:
  - name: check
    raw: {from: prober, to: "server:8080", do: [reset], count: 5, interval: 1s}
  - name: half-a-head
    raw:
      from: prober
      to: server:8080
      do:
        - {send: "GET / HTTP/1.1\\r\\nHost: ser", bytes: 4, every: 100ms}
        - wait: 1s
        - half-close
        - {read: end, timeout: 20s}
  - name: pipelined
    raw:
      from: prober
      to: server:8080
      session: kept
      do:
        - send: "GET / HTTP/1.1\\r\\nHost: server\\r\\n\\r\\nGET / HTTP/1.1\\r\\nHost: server\\r\\n\\r\\n"
        - {read: response, count: 2}
"""

    from_: Annotated[str, Field(alias="from", description="node of the kind `raw` (or service: all its replicas)")]
    to: Endpoint = Field(description="host:port; the host is a node, a service or an alias")
    do: list[Step] = Field(
        description="what is done with each connection: `half-close` (shutdown, a FIN), `close` (a FIN, or a RST where "
        "something is unread), `reset` (a RST), or an action"
    )
    session: Name | None = Field(
        None,
        description="the connection stays open, and a later step of this session goes on with it; of several, with "
        "that which waits longest",
    )
    count: Whole | None = Field(
        None,
        ge=1,
        le=COUNT.limit,
        description="how many times; without: 1, or as many as the `duration` has time for",
    )
    concurrency: Whole = Field(1, ge=1, le=CONCURRENCY.limit, description="how many at the same time")
    interval: Duration = Field(0.0, description="from the end of one to the begin of the next")
    duration: Duration | None = Field(None, gt=0, description="for how long they begin")
    timeout: Duration = Field(10.0, gt=0, description="of connecting, and of each write and read")
    within: Duration | None = Field(
        None, gt=0, description="how long the step may take, else the run fails; without: 10 minutes more than it needs"
    )

    @model_validator(mode="after")
    def _possible(self) -> Raw:
        problems = list(self._after_the_end())
        if problems:
            raise Problems(problems)
        return self

    def _after_the_end(self) -> Iterator[Problem]:
        """Actions that cannot be done any more."""
        ended: str | None = None
        for place, action in enumerate(self.do):
            writes = action == "half-close" or (isinstance(action, Action) and action.send is not None)
            if ended in ("close", "reset"):
                yield Problem(("do", place), f"`{ended}` has ended the connection before", "remove it", of_key=False)
            elif ended == "half-close" and writes:
                yield Problem(("do", place), "after `half-close` nothing can be written", "remove it", of_key=False)
            ended = action if isinstance(action, str) else ended

    @property
    def _asked(self) -> int:
        return self.count or (1 if self.duration is None else COUNT.limit)

    @property
    def _longest(self) -> float:
        """Seconds that one exchange takes at least, with what its reads may wait."""
        actions = [action for action in self.do if isinstance(action, Action)]
        return self.timeout + sum(one.seconds + (one.timeout or self.timeout) for one in actions)

    @property
    def seconds(self) -> float:
        each = sum(action.seconds for action in self.do if isinstance(action, Action))
        if self.count is None and self.duration is not None:
            return self.duration
        return math.ceil(self._asked / self.concurrency) * (each + self.interval) - self.interval

    def check(self, situation: Situation) -> None:
        nodes = situation.able(self.from_, "from", client=True, awake=True, command="raw")
        host, known = self.to.rpartition(":")[0], situation.hosts(nodes)
        if host not in {name.lower() for name in known} | set(known):
            message = f"the host {host} is no node, service, alias or address of the topology"
            situation.problem(message, suggestion(host, sorted(known)), "to")
        for node in nodes if self.session is not None else ():
            situation.earlier.sessions.setdefault(node, set()).add(self.session or "")
            situation.earlier.using.setdefault((node, self.session or ""), set()).add(situation.step)

    def describe(self) -> str:
        many = "connections" if self.count is None and self.duration else plural(self._asked, "connection")
        during = f" for {format_duration(self.duration)}" if self.duration is not None else ""
        return f"{many}{during} from {self.from_} to {self.to}"

    def perform(self, context: Context) -> None:
        actions = [{"do": one} if isinstance(one, str) else one.command() for one in self.do]
        fields: dict[str, Any] = {"url": f"tcp://{self.to}", "session": self.session, "actions": actions}
        fields |= {"count": self._asked, "concurrency": self.concurrency, "interval": self.interval}
        fields |= {"timeout": self.timeout} | ({} if self.duration is None else {"duration": self.duration})
        context.command(context.nodes(self.from_), "raw", within=self._within, **fields)

    @property
    def _within(self) -> float:
        if self.within is not None:
            return self.within
        longest = math.ceil(self._asked / self.concurrency) * (self._longest + self.interval)
        if self.duration is not None:
            longest = min(longest, self.duration + self._longest)
        return _PATIENCE + longest
