"""`exec`: a command in a node."""

from __future__ import annotations

from pydantic import Field, model_validator

from orchestrator.errors import EnvironmentFailure
from orchestrator.scenario.fields import TrueOrFalse, Whole, Word
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.steps.base import Context, Effect, Fields, Situation
from orchestrator.scenario.values import Duration

_EXECUTED = Effect("exec")


class Exec(Fields):
    """Run a command in a node. Its output is kept in the run's folder, as `logs/exec-STEP-NODE.txt`.

    A status other than 0 ends the run, unless `expect_status` says which one is right, or `may_fail` that any will
    do. A program that it leaves in the background lives on, and the step does not wait for it. It works in a node whose
    program has ended too. Under netns it runs on this machine, so it needs `--allow-exec`.
    """

    verb = "exec"
    meaning = "run a command in a node"
    example = """\
steps:
  - name: look
    exec: {node: server, command: [ss, -tan], timeout: 5s}
  - name: nobody-there
    exec: {node: client, command: [pgrep, haproxy], expect_status: 1}
"""
    effects = (_EXECUTED,)
    runs_commands = True

    node: str = Field(description="where it runs")
    command: list[Word] = Field(min_length=1, description="program and arguments; no shell reads them")
    timeout: Duration = Field(30.0, gt=0, description="it is killed after this time: its status is then 124")
    expect_status: Whole | None = Field(
        None, ge=0, le=255, description="the status that it must end with; without: 0. 128 + n: killed by signal n"
    )
    may_fail: TrueOrFalse = Field(False, description="it may end with any status")

    @model_validator(mode="after")
    def _one_of_them(self) -> Exec:
        if self.may_fail and self.expect_status is not None:
            message = "`may_fail` is for any status, `expect_status` for one: leave one of them out"
            raise Problems([Problem(("may_fail",), message)])
        return self

    def check(self, situation: Situation) -> None:
        """A kind's namespaces outlive its program; an image of its own is gone with it. What a command does to a
        program nobody can tell."""
        for node in situation.nodes(self.node, "node"):
            if situation.kind(node) is None and not situation.able(self.node, "node"):
                return
            situation.earlier.perhaps_gone.setdefault(node, situation.step)

    @property
    def _instead(self) -> str:
        return "" if self.expect_status is None else f", not with {self.expect_status}"

    def describe(self) -> str:
        return f"exec in {self.node}: {' '.join(self.command)}"

    def perform(self, context: Context) -> None:
        for node in context.nodes(self.node):
            result = context.run_command(node, self.command, self.timeout)
            context.keep(f"exec-{context.step}-{node}.txt", result.output)
            context.record(node, _EXECUTED, step=context.step, status=result.status)
            status = result.status if result.status >= 0 else 128 - result.status
            if not self.may_fail and status != (self.expect_status or 0):
                raise EnvironmentFailure(
                    f"step {context.step}: {self.command[0]} in {node} {result.how}{self._instead}",
                    detail=result.output.splitlines()[-10:],
                )
