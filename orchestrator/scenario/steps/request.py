"""`request`: client nodes ask."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from orchestrator.bounds import CONCURRENCY, COUNT
from orchestrator.scenario.fields import Name, Rate, Text, TrueOrFalse, Url, Whole
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.requestfields import TIMEOUT, Body, OneOrTimeouts, TextOrBody, Timeouts
from orchestrator.scenario.steps.base import Context, Fields, Situation
from orchestrator.scenario.values import Duration, Pause
from orchestrator.text.durations import format_duration
from orchestrator.text.numbers import plural
from orchestrator.text.suggest import suggestion

_PATIENCE = 600.0
_IN_FLIGHT = 1_000
"""Requests of a rate that may be under way at a time, where a file does not say."""


class Request(Fields):
    """Requests by a client node: HTTP, or queries. The step ends when all have ended, whether they failed or not."""

    verb = "request"
    meaning = "requests by a client node"
    example = """\
steps:
  - name: load
    request:
      from: client
      url: http://server:8080/
      session: pool
      count: 100
      concurrency: 4
      interval: 50ms
      headers: {Connection: keep-alive}
      timeout: 2s
  - name: upload
    request:
      from: client
      url: http://server:8080/
      method: POST
      body: {size: 64MB}
      timeout: {connect: 1s, read: 5s}
  - name: forgotten
    request: {from: client, url: "http://server:8080/", session: pool, hold: true}
"""

    from_: Annotated[str, Field(alias="from", description="client node (or service: all its replicas)")]
    url: Url = Field(
        description="absolute URL, `http://`, `postgresql://`, `mysql://` or `redis://`, as the client speaks it; "
        "the host is a node, a service or an alias"
    )
    session: Name | None = Field(None, description="named Session, kept open between steps; without: one-shot requests")
    count: Whole | None = Field(
        None,
        ge=1,
        le=COUNT.limit,
        description="how many requests, over all workers; without: 1, or as many as the `duration` has time for",
    )
    concurrency: Whole | None = Field(
        None,
        ge=1,
        le=CONCURRENCY.limit,
        description=f"how many at the same time; without: 1, with `rate` {_IN_FLIGHT}",
    )
    rate: Rate | None = Field(
        None,
        description="requests a second, each sent when its time has come, whether those before it are answered or not; "
        "goes with `duration` or `count`",
    )
    duration: Duration | None = Field(
        None, gt=0, description="for how long requests begin; those that are under way then are finished"
    )
    interval: Pause = Field(
        Pause(0, 0), description="pause between two requests of a worker; a range: each is drawn from it"
    )
    method: str = Field("GET", pattern=r"^[A-Z]+(-[A-Z]+)*$", description="HTTP method, in capitals")
    headers: dict[str, Text] = Field({}, description="request headers, added to the client's own")
    body: TextOrBody | None = Field(
        None, description="request body; with `{size: 1GB}` its client makes it up while it sends it"
    )
    timeout: OneOrTimeouts = Field(
        TIMEOUT, description="of connecting and of each read; or each by itself: `{connect: 1s, read: 5s}`"
    )
    hold: TrueOrFalse = Field(
        False,
        description="read the head of the response and leave the body unread: its connection does not come back to the "
        "pool until the `session` is closed",
    )
    within: Duration | None = Field(
        None,
        gt=0,
        description="how long the step may take, else the run fails; without: 10 minutes longer than if each request "
        "took its `timeout`",
    )

    @model_validator(mode="after")
    def _one_pace(self) -> Request:
        """A rate decides when requests are sent, so nothing else may."""
        problems = []
        if self.rate is not None and self.count is None and self.duration is None:
            problems.append(Problem(("rate",), "a `rate` needs an end", "add `duration`, or `count`"))
        if self.rate is not None and "interval" in self.model_fields_set:
            message = "`interval` is the pause of a worker between its requests: with `rate` no worker pauses"
            problems.append(Problem(("interval",), message, "remove one of them"))
        if self.rate is not None and self._asked > COUNT.limit:
            message = f"{self.rate:g} requests a second for {format_duration(self.duration or 0.0)} are too many"
            problems.append(Problem(("rate",), message, f"a step has {COUNT.limit} at most", of_key=False))
        if self.hold and self.session is None:
            message = "a response that is held stays open until its session is closed, and this step has none"
            problems.append(Problem(("hold",), message, "add `session`"))
        if problems:
            raise Problems(problems)
        return self

    @property
    def _asked(self) -> int:
        """How many requests at most."""
        if self.rate is not None and self.duration is not None:
            return min(self.count or sys.maxsize, max(1, math.ceil(round(self.rate * self.duration, 6))))
        return self.count or (1 if self.duration is None else COUNT.limit)

    @property
    def _workers(self) -> int:
        return self.concurrency or (1 if self.rate is None else _IN_FLIGHT)

    @property
    def seconds(self) -> float:
        if self.rate is not None:
            return (self._asked - 1) / self.rate
        return (self.duration or 0.0) if self.count is None else 0.0

    def check(self, situation: Situation) -> None:
        nodes = situation.able(self.from_, "from", client=True, awake=True, command="request")
        host, known = urlsplit(self.url).hostname or "", situation.hosts(nodes)
        if host not in {name.lower() for name in known}:
            message = f"the URL's host {host} is no node, service, alias or address of the topology"
            situation.problem(message, suggestion(host, sorted(known)), "url")
        self._check_pace(situation, nodes)
        self._check_options(situation, nodes)
        for node in nodes if self.session is not None else ():
            situation.earlier.sessions.setdefault(node, set()).add(self.session or "")
            situation.earlier.using.setdefault((node, self.session or ""), set()).add(situation.step)

    def _check_pace(self, situation: Situation, nodes: Sequence[str]) -> None:
        given = [name for name in ("rate", "duration") if getattr(self, name) is not None]
        if self.interval.low < self.interval.high:
            given.append("interval")
        if given and (found := situation.without_pace(nodes)) is not None:
            unable, able = found
            what = "a range of pauses" if given[0] == "interval" else f"a `{given[0]}`"
            situation.problem(
                f"the client {unable} cannot keep to {what}", f"those that can: {', '.join(able)}", given[0]
            )

    def _check_options(self, situation: Situation, nodes: Sequence[str]) -> None:
        wanted = {"body.size": "cannot make up a body by its size"} if isinstance(self.body, Body) else {}
        wanted |= {"hold": "cannot hold a response"} if self.hold else {}
        if isinstance(self.timeout, Timeouts):
            wanted |= {f"timeout.{name}": f"has no `{name}` timeout of its own" for name in self.timeout.given}
        for option, words in wanted.items():
            if (found := situation.without_option(nodes, option)) is not None:
                unable, able = found
                situation.problem(
                    f"the client {unable} {words}", f"those that can: {', '.join(able)}", *option.split(".")
                )

    def describe(self) -> str:
        if self.rate is None:
            many = "requests" if self.duration is not None and self.count is None else plural(self._asked, "request")
        else:
            many = f"{plural(self._asked, 'request')}, {self.rate:g} a second,"
        during = f" for {format_duration(self.duration)}" if self.duration is not None and self.rate is None else ""
        held = ", their responses left open" if self.hold else ""
        return f"{many}{during} from {self.from_}{held}"

    def perform(self, context: Context) -> None:
        fields = self.model_dump(exclude={"from_", "within", "interval", "rate", "duration", "body", "timeout", "hold"})
        fields |= {"body_size": self.body.size} if isinstance(self.body, Body) else {"body": self.body}
        if isinstance(self.timeout, Timeouts):
            fields |= {"timeout": TIMEOUT, "timeouts": self.timeout.given}
        else:
            fields["timeout"] = self.timeout
        fields |= {"hold": True} if self.hold else {}
        paced: dict[str, Any] = {"rate": self.rate, "duration": self.duration}
        if self.interval.low < self.interval.high:
            # The same pauses in every run of a scenario: what differs between two runs should not be ours.
            paced |= {"interval_most": self.interval.high, "seed": context.step}
        fields |= {"count": self._asked, "concurrency": self._workers, "interval": self.interval.low}
        fields |= {name: value for name, value in paced.items() if value is not None}
        context.command(context.nodes(self.from_), "request", within=self._within, **fields)

    @property
    def _patience(self) -> float:
        """Seconds that a request waits, as far as one can say."""
        return sum(self.timeout.given.values()) + TIMEOUT if isinstance(self.timeout, Timeouts) else self.timeout

    @property
    def _within(self) -> float:
        """Seconds. A server may answer for ever, and each read of it in time."""
        if self.within is not None:
            return self.within
        longest = math.ceil(self._asked / self._workers) * (self.interval.high + self._patience)
        if self.rate is not None:
            longest += self._asked / self.rate
        elif self.duration is not None:
            longest = min(longest, self.duration + self._patience)
        return _PATIENCE + longest
