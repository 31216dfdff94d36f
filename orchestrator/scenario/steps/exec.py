"""`exec`: a command in a node."""

from __future__ import annotations

from pydantic import Field

from orchestrator.errors import EnvironmentFailure
from orchestrator.scenario.fields import Word
from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation
from orchestrator.scenario.values import Duration

_EXECUTED = Effect("exec")


class Exec(Fields):
    """Run a command in a node; a status other than 0 ends the run, and the output is kept in the run's folder.

    Under netns it runs on this machine, so it needs `--allow-exec`.
    """

    verb = "exec"
    meaning = "run a command in a node"
    example = """\
steps:
  - name: look
    exec: {node: server, command: [ss, -tan], timeout: 5s}
"""
    effects = (_EXECUTED,)
    runs_commands = True

    node: str = Field(description="where it runs")
    command: list[Word] = Field(min_length=1, description="program and arguments; no shell reads them")
    timeout: Duration = Field(30.0, gt=0, description="it is killed after this time, which ends the run")

    def check(self, situation: Situation) -> None:
        situation.able(self.node, "node")

    def describe(self) -> str:
        return f"exec in {self.node}: {' '.join(self.command)}"

    def perform(self, context: Context) -> None:
        for node in context.nodes(self.node):
            result = context.run_command(node, self.command, self.timeout)
            context.keep(f"exec-{context.step}-{node}.txt", result.output)
            context.record(node, _EXECUTED, step=context.step, status=result.status)
            if result.status != 0:
                raise EnvironmentFailure(
                    f"step {context.step}: {self.command[0]} in {node} {result.how}",
                    detail=result.output.splitlines()[-10:],
                )
