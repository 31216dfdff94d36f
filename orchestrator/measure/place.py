"""Runs the prober where it shall measure from: on this machine, or inside of a node of a standing lab."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure
from orchestrator.measure.target import Standpoint
from orchestrator.system.interpreter import OWN_PYTHON

Message = dict[str, Any]

_PROBER = "orchestrator.measure.prober"
_END_TIMEOUT = 5.0

_BOOT = (
    "import json,sys,types\n"
    "for name, source in json.loads(sys.stdin.buffer.readline()):\n"
    "    module = sys.modules[name] = types.ModuleType(name)\n"
    "    exec(source, module.__dict__)\n"
    "module.main()"
)
"""Where simctl's files are not: modules come over standard input, the last one is the program."""


def observe(standpoint: Standpoint | None, task: Mapping[str, Any]) -> Generator[Message]:
    """What the prober says, as it comes. It ends when this generator is closed. Raises EnvironmentFailure."""
    if standpoint is None:
        return _by_process([*OWN_PYTHON, _PROBER], task)
    if standpoint.lab.reachable:
        return _by_process([*_enter(standpoint), *OWN_PYTHON, _PROBER], task)
    return _by_engine(str(standpoint.facts["container"]), task)


def _enter(standpoint: Standpoint) -> list[str]:
    """The node's network, with this machine's files: a container need not have Python.

    Its pid namespace too, so that ss in the node shows whose the sockets are, and the lab's end is the prober's.
    """
    user = ["--user", "--preserve-credentials"] if standpoint.lab.rootless else []
    return ["nsenter", "--target", str(standpoint.facts["pid"]), *user, "--net", "--pid", "--"]


def _by_process(argv: list[str], task: Mapping[str, Any]) -> Generator[Message]:
    # A session of its own: Ctrl-C is for us, and the prober ends with its input.
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it says why
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
            for line in process.stdout:
                yield json.loads(line)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode != 0:
            log.seek(0)
            raise _ended_early(log.read())


def _by_engine(container: str, task: Mapping[str, Any]) -> Generator[Message]:
    """Where simctl may not enter the container, its engine does, and Python has to be in there."""
    from orchestrator.engine.client import connect
    from orchestrator.engine.execution import STDERR, execute

    output, log = b"", b""
    what = f"cannot measure from the container {container[:12]}"
    with execute(connect(), container, ["python3", "-c", _BOOT], what=what) as prober:
        prober.connection.sendall(json.dumps(_sources()).encode() + b"\n" + json.dumps(task).encode() + b"\n")
        for number, payload in prober.frames():
            if number == STDERR:
                log += payload
                continue
            *lines, output = (output + payload).split(b"\n")
            yield from map(json.loads, lines)
        if prober.status() != 0:
            raise _ended_early(log, hint="it needs python3 in that container")


def _ended_early(log: bytes, hint: str | None = None) -> EnvironmentFailure:
    lines = log.decode(errors="replace").splitlines()[-5:]
    return EnvironmentFailure("the program that measures ended early", detail=lines, hint=hint)


def _sources() -> list[tuple[str, str]]:
    here = Path(__file__).parent
    package = [("orchestrator", ""), ("orchestrator.measure", "")]
    return package + [
        (f"orchestrator.measure.{name}", (here / f"{name}.py").read_text()) for name in ("wire", "prober")
    ]
