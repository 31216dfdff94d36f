"""Signals and commands for the processes of a node; the same for every runtime whose processes this machine shows."""

from __future__ import annotations

import contextlib
import os
import signal as signals
import subprocess
from collections.abc import Mapping, Sequence

from orchestrator.runtimes.base import ExecResult
from orchestrator.system.linux import descendants

TIMED_OUT = 124
"""Exit status of a command that was ended for taking too long, as timeout(1) has it."""


_TO_PROGRAM = 34
"""What nodes/base/init.py calls TO_PROGRAM: a signal that asks it for one to its program alone."""


def signal_program(init_pid: int, signal: int, *, alone: bool = False) -> None:
    """Send a signal to a node's program: every process below init, which itself must live on to hold the namespaces.

    SIGTERM goes to init, which forwards it, so that a program in its own session gets it once. `alone`: not to the
    program's children; init, which knows them apart, sends it.
    """
    if alone:
        targets, signal = [init_pid], _TO_PROGRAM + signal
    else:
        targets = [init_pid] if signal == signals.SIGTERM else descendants(init_pid)
    for pid in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal)


def exec_in(
    pid: int, command: Sequence[str], timeout: float, *, environment: Mapping[str, str], user_namespace: bool
) -> ExecResult:
    """Run a command inside the namespaces of `pid` with nsenter; output and error together.

    After `timeout` seconds it is killed with all its children, and the status is TIMED_OUT.
    """
    argv = [*nsenter(pid, user_namespace=user_namespace), *command]
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException as error:
            # The command is a child of nsenter: it would go on, and hold the pipe open.
            for each in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signals.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            output, _ = process.communicate()
            text = output.decode(errors="replace")
            return ExecResult(TIMED_OUT, text + f"\n(ended by simctl after {timeout:g} s)\n")
    return ExecResult(process.returncode, output.decode(errors="replace"))


def exec_with_terminal(pid: int, command: Sequence[str], *, user_namespace: bool) -> int:
    """Run a command inside the namespaces of `pid`, with this terminal and environment; its exit status."""
    argv = [*nsenter(pid, user_namespace=user_namespace), *command]
    # A lab is closed: there is no way from it to the user's proxy.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    status = subprocess.run(argv, env=environment, check=False).returncode
    return status if status >= 0 else 128 - status


def nsenter(pid: int, *, user_namespace: bool) -> list[str]:
    """The start of a command line that runs inside a node; util-linux is on every Linux."""
    user = ["--user", "--preserve-credentials"] if user_namespace else []
    return ["nsenter", "--target", str(pid), *user, "--mount", "--net", "--pid", "--uts", "--ipc", "--wd=/tmp", "--"]
