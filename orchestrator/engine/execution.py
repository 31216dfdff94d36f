"""A command that is run in a container, with its streams."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.engine.client import engine_errors
from orchestrator.engine.streams import frames
from orchestrator.text.record import record

if TYPE_CHECKING:
    from docker import APIClient

STDERR = 2
"""The number of the frames with standard error."""


@record
class Execution:
    """`connection`: what is sent is the command's input; what comes is its output, in frames unless on a terminal."""

    id: str
    connection: socket.socket
    client: APIClient

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Its output as (stream number, payload), until it ends."""
        with self.connection.makefile("rb") as stream:
            yield from frames(stream)

    def status(self) -> int:
        """Its exit status, once its output has ended."""
        return int(self.client.exec_inspect(self.id)["ExitCode"])


@contextmanager
def execute(
    client: APIClient, container: str, command: Sequence[str], *, what: str, tty: bool = False
) -> Iterator[Execution]:
    """Start it. What goes wrong with the engine becomes an EnvironmentFailure that begins with `what`."""
    with engine_errors(what):
        identity = client.exec_create(container, list(command), stdin=True, tty=tty)["Id"]
        wrapped: Any = client.exec_start(identity, tty=tty, socket=True)
        with wrapped, wrapped._sock.dup() as connection:
            connection.settimeout(None)
            yield Execution(identity, connection, client)
