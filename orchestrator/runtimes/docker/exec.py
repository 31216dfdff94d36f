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
from typing import TYPE_CHECKING

from orchestrator.engine.client import connect
from orchestrator.engine.execution import STDERR, execute
from orchestrator.runtimes.ability import StandingNode

if TYPE_CHECKING:
    from docker import APIClient


def exec_in_node(node: StandingNode, command: Sequence[str]) -> int:
    """As Ability.exec. By the engine, also where we may enter its namespaces ourselves: a command that was only put
    into them would have all of root's capabilities beside what the container's programs have written."""
    assert node.container is not None
    return _by_engine(connect(), node.container, command)


def _by_engine(client: APIClient, container: str, command: Sequence[str]) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    what = f"cannot run {command[0]} in the container {container}"
    with execute(client, container, command, what=what, tty=terminal) as execution:
        threading.Thread(target=_send_input, args=(execution.connection,), daemon=True).start()
        if terminal:
            with _raw_terminal(), _same_size(client, execution.id):
                while chunk := execution.connection.recv(1 << 16):
                    _write(1, chunk)
        else:
            for number, payload in execution.frames():
                _write(2 if number == STDERR else 1, payload)
        return execution.status()


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
