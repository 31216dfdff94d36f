"""`close`: a client gives up a Session."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.scenario.fields import Name
from orchestrator.scenario.steps.base import Context, Fields, Situation
from orchestrator.text.suggest import suggestion


class Close(Fields):
    """Close a named Session of a client node, as leaving its `with` block does."""

    verb = "close"
    meaning = "close a named Session of a client node"
    example = """\
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool}
  - name: leave
    close: {from: client, session: pool}
"""

    from_: Annotated[str, Field(alias="from", description="client node that holds the Session")]
    session: Name = Field(description="name that an earlier `request` gave it")

    def check(self, situation: Situation) -> None:
        for node in situation.able(self.from_, "from", client=True, awake=True):
            opened = situation.earlier.sessions.setdefault(node, set())
            if self.session not in opened:
                message = f"no earlier step left a Session {self.session} open on {node}"
                hint = suggestion(self.session, sorted(opened)) or "a `request` with `session` opens one"
                situation.problem(message, hint, "session")
                return
            if users := situation.earlier.users(node, self.session):
                message = f"the step {users[0]} may be using the Session {self.session} of {node}"
                situation.problem(message, f"first `await: {users[0]}`", "session")
                return
            opened.discard(self.session)

    def describe(self) -> str:
        return f"close session {self.session} of {self.from_}"

    def perform(self, context: Context) -> None:
        context.command(context.nodes(self.from_), "close", session=self.session)
