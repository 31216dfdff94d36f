"""The probe as a process of this machine: the way of the netns runtime, and of docker where simctl is root there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import EnvironmentFailure
from orchestrator.system import early, zygote
from orchestrator.system.interpreter import OWN_PYTHON

_NAME = "probe"
_AHEAD = {"do": "ahead"}
_COMMAND = (*OWN_PYTHON, "orchestrator.observe.probe")


def begin() -> None:
    """Start one now: the next LocalProbe will find it. As root it makes ahead what no lab decides."""

    def start(errors: int) -> tuple[subprocess.Popen[bytes], None]:
        process = _start(_COMMAND, errors)
        if os.geteuid() == 0:
            _ask(process, _AHEAD)
        return process, None

    early.begin(_NAME, start)


def _start(command: Sequence[str], errors: int) -> subprocess.Popen[bytes]:
    return zygote.popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def _ask(process: subprocess.Popen[bytes], request: Mapping[str, object]) -> None:
    """Send a request whose answer nobody waits for, unless he reads it himself: its number is no client's."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # whoever asks it next is told
        process.stdin.write(json.dumps({"id": 0, **request}).encode() + b"\n")
        process.stdin.flush()


class LocalProbe:
    """As ProbeProcess. It has our rights, our clock and our files."""

    here = True
    command: Sequence[str] = _COMMAND

    def __init__(self, log: Path) -> None:
        waiting = early.take(_NAME, log)
        if waiting is None:
            with log.open("ab") as file:
                self._process = _start(self.command, file.fileno())
        else:
            self._process = waiting.process
            _ask(self._process, {"do": "log", "path": str(log.resolve())})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin: BinaryIO = self._process.stdin  # type: ignore[assignment]  # typeshed: IO[bytes]
        self.stdout: BinaryIO = self._process.stdout  # type: ignore[assignment]

    def get_ahead(self) -> None:
        """Have it make now what no lab decides. Only before a client reads its output. Raises EnvironmentFailure."""
        _ask(self._process, _AHEAD)
        answer = self.stdout.readline()
        if b"error" in answer or not answer:
            raise EnvironmentFailure("the probe could not get ready", detail=[answer.decode().strip()])

    def captures(self, folder: Path) -> Path:
        return folder

    def bring_captures(self, folder: Path) -> None:
        """They are there already."""

    def end(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
