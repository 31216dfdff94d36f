"""Runs a command in a container with this terminal, as `docker exec -i` and, on a terminal, `docker exec -it` do."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.engine import client as dockerengine
from orchestrator.engine.streams import frames

if TYPE_CHECKING:
    from docker import APIClient

_STDERR = 2


def exec_with_terminal(client: APIClient, container: str, command: Sequence[str]) -> int:
    """Returns the command's exit status. Raises EnvironmentFailure."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    with dockerengine.engine_errors(f"cannot run {command[0]} in the container {container}"):
        execution = client.exec_create(container, list(command), stdin=True, tty=terminal)["Id"]
        wrapped: Any = client.exec_start(execution, tty=terminal, socket=True)
        with wrapped, wrapped._sock.dup() as connection:
            connection.settimeout(None)
            if terminal:
                with _raw_terminal(), _same_size(client, execution):
                    _relay(connection, framed=False)
            else:
                _relay(connection, framed=True)
        return int(client.exec_inspect(execution)["ExitCode"])


def _relay(connection: socket.socket, *, framed: bool) -> None:
    """Our input to the command, its output to ours, until the command ends."""
    threading.Thread(target=_send_input, args=(connection,), daemon=True).start()
    if framed:
        with connection.makefile("rb") as stream:
            for number, payload in frames(stream):
                _write(2 if number == _STDERR else 1, payload)
    else:
        while chunk := connection.recv(1 << 16):
            _write(1, chunk)


def _send_input(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the command has ended, and takes no more
        while chunk := os.read(0, 1 << 16):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the command, Ctrl-C too."""
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _same_size(client: APIClient, execution: str) -> Iterator[None]:
    """The command's terminal is as large as ours, also when ours changes."""

    def resize(*_: object) -> None:
        columns, lines = shutil.get_terminal_size()
        with contextlib.suppress(Exception):  # the size is a convenience; the command may have ended
            client.exec_resize(execution, height=lines, width=columns)

    resize()
    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
