"""For tests of server kinds that are not ours: the kind's own command on a port of this machine, until it listens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.kinds.registry import argv, kind
from tests.support.node_process import PATIENCE


@contextlib.contextmanager
def listening(name: str, folder: Path, **knobs: str) -> Iterator[int]:
    """The port on which the kind answers. Scratch files go to `folder`; its process group is killed at the end."""
    port = free_port()
    with started(name, folder, HTTP_PORT=str(port), **knobs) as process:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < deadline, f"{name} does not listen"
            time.sleep(0.02)
        yield port


def ended(name: str, folder: Path, **knobs: str) -> tuple[int, str]:
    """Exit status and standard error of a kind that cannot start with these knobs."""
    with started(name, folder, **knobs) as process:
        status = process.wait(PATIENCE)
    return status, (folder / "stderr").read_text()


def assert_refuses(name: str, knob: str, value: str, words: str, folder: Path, **knobs: str) -> None:
    """The kind does not start with a value that it cannot take, and says so in one line that names the knob."""
    status, log = ended(name, folder, **{**knobs, knob: value})
    assert status == 2
    assert log.startswith(f"{name}: {knob}: ")
    assert words in log
    assert log.count("\n") == 1


@contextlib.contextmanager
def started(name: str, folder: Path, **knobs: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process. What `knobs` leaves out it is told as node.yaml has it: defaults must be values that it takes."""
    defaults = {knob: entry.default for knob, entry in kind(name).knobs.items()}
    strange = knobs.keys() - defaults.keys() - {"XDG_CACHE_HOME"}
    assert not strange, f"{name} has no {strange}, and would do as if it had not been told"
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            argv(kind(name), sys.executable),
            env=own | defaults | knobs,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def free_port() -> int:
    """A port that nobody has now. Servers that are not ours cannot tell which port they were given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True
