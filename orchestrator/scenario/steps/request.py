"""`request`: client nodes ask."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from orchestrator.bounds import CONCURRENCY, COUNT
from orchestrator.scenario.fields import Name, Text, Url, Whole
from orchestrator.scenario.steps.base import Context, Fields, Situation
from orchestrator.scenario.values import Duration
from orchestrator.text.numbers import plural
from orchestrator.text.suggest import suggestion

_PATIENCE = 600.0


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
"""

    from_: Annotated[str, Field(alias="from", description="client node (or service: all its replicas)")]
    url: Url = Field(
        description="absolute URL, `http://`, `postgresql://` or `redis://`, as the client speaks it; "
        "the host is a node, a service or an alias"
    )
    session: Name | None = Field(None, description="named Session, kept open between steps; without: one-shot requests")
    count: Whole = Field(1, ge=1, le=COUNT.limit, description="how many requests, over all workers")
    concurrency: Whole = Field(1, ge=1, le=CONCURRENCY.limit, description="how many at the same time")
    interval: Duration = Field(0.0, description="pause between two requests of a worker")
    method: str = Field("GET", pattern=r"^[A-Z]+(-[A-Z]+)*$", description="HTTP method, in capitals")
    headers: dict[str, Text] = Field({}, description="request headers, added to the client's own")
    body: Text | None = Field(None, description="request body")
    timeout: Duration = Field(10.0, gt=0, description="of connecting and of each read")
    within: Duration | None = Field(
        None,
        gt=0,
        description="how long the step may take, else the run fails; without: 10 minutes longer than if each request "
        "took its `timeout`",
    )

    def check(self, situation: Situation) -> None:
        nodes = situation.able(self.from_, "from", client=True, awake=True)
        host, known = urlsplit(self.url).hostname or "", situation.hosts(nodes)
        if host not in {name.lower() for name in known}:
            message = f"the URL's host {host} is no node, service, alias or address of the topology"
            situation.problem(message, suggestion(host, sorted(known)), "url")
        for node in nodes if self.session is not None else ():
            situation.earlier.sessions.setdefault(node, set()).add(self.session or "")

    def describe(self) -> str:
        return f"{plural(self.count, 'request')} from {self.from_}"

    def perform(self, context: Context) -> None:
        fields = self.model_dump(exclude={"from_", "within"})
        context.command(context.nodes(self.from_), "request", within=self._within, **fields)

    @property
    def _within(self) -> float:
        """Seconds. A server may answer for ever, and each read of it in time."""
        if self.within is not None:
            return self.within
        each = math.ceil(self.count / self.concurrency)
        return _PATIENCE + each * (self.interval + self.timeout)
