"""`reload`: a program takes a new configuration while it runs."""

from __future__ import annotations

from pydantic import Field

from orchestrator.scenario.steps.base import Context, Effect, Situation
from orchestrator.scenario.steps.program import Knobs, OfNode

_RELOADED = Effect("reloaded", "reloaded")


class Reload(OfNode):
    """Give the program of a node (or service: all its replicas) a new configuration while it runs, by what its kind
    calls a reload: nginx and gunicorn by SIGHUP, apache by SIGUSR1 (graceful), haproxy with MASTER by SIGUSR2, caddy by
    its admin endpoint.

    `set` has the knobs that change, of those that the kind can change so. The step ends when the program has been
    told; how soon the new configuration counts, and what becomes of the connections there are, is the program's
    affair: a `wait` behind it shows it. A kind that cannot reload is refused.
    """

    verb = "reload"
    meaning = "a new configuration for a program that runs, by what its kind calls a reload"
    example = """\
steps:
  - name: shorter
    reload: {node: proxy, set: {KEEPALIVE_TIMEOUT: 2s}}
"""
    effects = (_RELOADED,)

    set: Knobs = Field({}, description="knobs of its kind that get another value, from now on")

    def check(self, situation: Situation) -> None:
        if situation.able(self.node, "node", awake=True):
            situation.check_reload(self.node, self.set)

    def perform(self, context: Context) -> None:
        for node in context.running(context.nodes(self.node)):
            context.record(node, _RELOADED, **self.set)
            context.reload(node, self.set)
