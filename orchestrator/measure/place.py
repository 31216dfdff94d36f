"""Runs the prober where it shall measure from: on this machine, or inside of a node of a standing lab."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import h11

from orchestrator.errors import EnvironmentFailure
from orchestrator.measure.target import Standpoint
from orchestrator.system.interpreter import OWN_PYTHON

Message = dict[str, Any]

_PROBER = "orchestrator.measure.prober"
_H11 = Path(h11.__file__).parent
_END_TIMEOUT = 5.0

_BOOT = """\
import importlib.abc, importlib.util, json, sys
class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    sources = json.loads(sys.stdin.buffer.readline())
    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            return importlib.util.spec_from_loader(name, self, is_package=self.is_package(name))
    def is_package(self, name):
        return any(other.startswith(name + ".") for other in self.sources)
    def get_source(self, name):
        return self.sources[name]
sys.meta_path.insert(0, Sent())
from orchestrator.measure.prober import main
main()
"""
"""Where simctl's files are not: the source of each module that the prober imports comes over standard input."""


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


def _sources() -> dict[str, str]:
    """Module -> source: the prober, what it imports of simctl, and h11, which is Python alone."""
    here = Path(__file__).parent
    own = {f"orchestrator.measure.{name}": (here / f"{name}.py").read_text() for name in ("wire", "prober")}
    library = {
        ("h11" if path.stem == "__init__" else f"h11.{path.stem}"): path.read_text() for path in _H11.glob("*.py")
    }
    return {"orchestrator": "", "orchestrator.measure": "", **own, **library}
