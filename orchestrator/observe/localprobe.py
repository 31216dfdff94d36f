"""The probe as a process of this machine: the way of the netns runtime, and of docker where simctl is root there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import EnvironmentFailure
from orchestrator.system import zygote
from orchestrator.system.interpreter import OWN_PYTHON


class LocalProbe:
    """As ProbeProcess. It has our rights, our clock and our files."""

    here = True

    def __init__(self, log: Path) -> None:
        with log.open("ab") as log_file:
            self._process = zygote.popen(
                self.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin: BinaryIO = self._process.stdin  # type: ignore[assignment]  # typeshed: IO[bytes]
        self.stdout: BinaryIO = self._process.stdout  # type: ignore[assignment]

    def command(self) -> list[str]:
        """The argument vector of the probe."""
        return [*OWN_PYTHON, "orchestrator.observe.probe"]

    def get_ahead(self) -> None:
        """Have it make now what no lab decides. Only before a client reads its output. Raises EnvironmentFailure."""
        self.stdin.write(b'{"id": 0, "do": "ahead"}\n')
        self.stdin.flush()
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
