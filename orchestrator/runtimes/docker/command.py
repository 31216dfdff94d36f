"""A command in a container that ends when it has ended, whatever it leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.engine import client as dockerengine
from orchestrator.runtimes.base import ExecResult
from orchestrator.runtimes.processes import TIMED_OUT, Output

if TYPE_CHECKING:
    from docker import APIClient

_POLL = 0.1
_LAST_OUTPUT = 0.3
"""Seconds within which what a command printed before its end arrives."""
_KILLED = 5.0


def run_command(
    client: APIClient, container: str, command: Sequence[str], timeout: float, what: str, kill: Callable[[int], None]
) -> ExecResult:
    """Run it, output and error together. After `timeout` seconds `kill` ends it, by its pid on the engine's machine,
    and the status is TIMED_OUT. Errors of the engine begin with `what`.

    The engine ends the output when nobody can write into it any more, which may be a child that the command left
    behind: so it is asked whether the command itself has ended.
    """
    with dockerengine.engine_errors(what):
        exec_id = client.exec_create(container, list(command))["Id"]
    output, errors = Output(), list[Exception]()

    def read() -> None:
        try:
            for chunk in client.exec_start(exec_id, stream=True):
                output.add(chunk)
        except Exception as error:
            errors.append(error)

    reader = threading.Thread(target=read, name="exec", daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout
    with dockerengine.engine_errors(what):
        state: dict[str, Any] = {"Running": True}
        while state["Running"] and not errors and (left := deadline - time.monotonic()) > 0:
            reader.join(min(_POLL, left))
            state = client.exec_inspect(exec_id)
        late = state["Running"] and not errors
        if late:
            state = client.exec_inspect(exec_id)
            kill(int(state["Pid"]))
        reader.join(_KILLED if late else _LAST_OUTPUT)
        if errors:
            raise errors[0]
    return ExecResult(TIMED_OUT, output.ended(timeout)) if late else ExecResult(state["ExitCode"], output.text())
