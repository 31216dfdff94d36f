"""Signals and commands for the processes of a node; the same for every runtime whose processes this machine shows."""

from __future__ import annotations

import contextlib
import os
import select
import signal as signals
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from orchestrator.bounds import NODE_LOG
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


class Output:
    """What a command prints: so much of it is kept as a log may hold, the rest is forgotten."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._left = NODE_LOG.limit
        self._cut = False

    def add(self, chunk: bytes) -> None:
        kept = chunk[: self._left]
        if kept:
            self._chunks.append(kept)
        self._left -= len(kept)
        self._cut = self._cut or len(kept) < len(chunk)

    def text(self) -> str:
        """Decoded with replacement."""
        text = b"".join(self._chunks).decode(errors="replace")
        return f"{text}\n(the rest was cut off by simctl)\n" if self._cut else text

    def ended(self, timeout: float) -> str:
        """The same, of a command that was ended for taking too long."""
        return f"{self.text()}\n(ended by simctl after {timeout:g} s)\n"


def execute(argv: Sequence[str], timeout: float, *, environment: Mapping[str, str]) -> ExecResult:
    """Run a command line; output and error together.

    It is over when the command itself has ended: a child that it left in the background lives on, and what that prints
    from then on is nobody's. After `timeout` seconds it is killed with all its children, and the status is TIMED_OUT.
    """
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    pipe, output, over = process.stdout.fileno(), Output(), False
    try:
        over = _read_until_end(process, pipe, output, timeout)
    finally:
        if not over:
            # The command may be a child of what brings it into the node: it would go on.
            for each in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signals.SIGKILL)
        status = process.wait()
        # Somebody may still write there, and is not to get a SIGPIPE or to wait for a reader.
        if _drain(pipe, output):
            process.stdout.close()
        else:
            threading.Thread(target=_forget, args=(process.stdout,), name="exec-rest", daemon=True).start()
    return ExecResult(status, output.text()) if over else ExecResult(TIMED_OUT, output.ended(timeout))


def _read_until_end(process: subprocess.Popen[bytes], pipe: int, output: Output, timeout: float) -> bool:
    """Take what comes until the process has ended; False when that takes more than `timeout` seconds."""
    os.set_blocking(pipe, False)
    deadline = time.monotonic() + timeout
    end = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.register(pipe, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(left * 1000)}
            if pipe in ready and _drain(pipe, output):
                poll.unregister(pipe)
            if end in ready:
                return True
    finally:
        os.close(end)
    return False


def _drain(pipe: int, output: Output) -> bool:
    """Take what is there now; whether that was the end of it."""
    try:
        while chunk := os.read(pipe, 1 << 16):
            output.add(chunk)
    except BlockingIOError:
        return False
    return True


def _forget(stream: IO[bytes]) -> None:
    os.set_blocking(stream.fileno(), True)
    with stream, contextlib.suppress(OSError):
        while os.read(stream.fileno(), 1 << 16):
            pass


def nsenter(pid: int, *, user_namespace: bool) -> list[str]:
    """The start of a command line that runs inside a node; util-linux is on every Linux."""
    user = ["--user", "--preserve-credentials"] if user_namespace else []
    return ["nsenter", "--target", str(pid), *user, "--mount", "--net", "--pid", "--uts", "--ipc", "--wd=/tmp", "--"]
