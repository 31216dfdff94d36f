"""The standard streams of a container, over the engine's hijacked attach connection.

The engine multiplexes output and error into frames: one byte stream number (1 output, 2 error), three zero bytes,
four bytes payload length, big endian, then the payload (Engine API, "Attach to a container"). What we send is the
container's standard input, unframed. When the connection's writing half closes, the engine closes that input
(StdinOnce).
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from orchestrator.bounds import NODE_LOG
from orchestrator.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import APIClient

_HEADER = struct.Struct(">BxxxL")
_STDOUT = 1


def attach(client: APIClient, container: str) -> socket.socket:
    """A connection to a container's streams: before its start, so that nothing of what it says is lost.

    Raises EnvironmentFailure for an engine behind TLS or the library's own ssh: one half of such a connection cannot
    be closed, and that is how a node's input ends.
    """
    wanted = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
    wrapped: Any = client.attach_socket(container, wanted)
    plain = getattr(wrapped, "_sock", None)
    if type(plain) is not socket.socket:
        raise EnvironmentFailure(
            "containers cannot be spoken to through TLS or ssh://",
            hint="forward the engine's socket: ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST, "
            "then DOCKER_HOST=unix:///tmp/engine.sock",
        )
    connection = plain.dup()  # ours to shut down and close; the library's copy goes with it
    wrapped._response.close()
    wrapped.close()
    return connection


def frames(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The frames of an attach stream as (stream number, payload), until it ends, be it in the middle of one."""
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        number, length = _HEADER.unpack(header)
        payload = stream.read(length)
        if payload:
            yield number, payload
        if len(payload) < length:
            return


class AttachedInput(io.RawIOBase):
    """The writing half of an attach connection. Writes are whole; closing ends the container's input."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]  # any buffer, as io.RawIOBase.write has it
        self._connection.sendall(view)
        return view.nbytes

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(OSError):  # the container is gone already
                self._connection.shutdown(socket.SHUT_WR)
        super().close()


class NodeStreams:
    """One container's streams: `stdin` and `stdout` for the node's channel; the rest goes to `log`.

    `output_to_log`: standard output goes to the log too, and nothing comes at `stdout` but its end (foreign images).
    """

    def __init__(self, connection: socket.socket, log: Path, *, output_to_log: bool) -> None:
        connection.settimeout(None)
        self._connection = connection
        self._log = log
        # A socket pair, not a pipe: close() can end a write that waits for a reader who never comes.
        self._output, theirs = socket.socketpair()
        self._output_to_log = output_to_log
        self._ended = threading.Event()
        self.stdin = cast(BinaryIO, AttachedInput(connection))
        with theirs:
            self.stdout: BinaryIO = theirs.makefile("rb")  # holds it open
        self._reader = threading.Thread(target=self._read, name=f"attach-{log.stem}", daemon=True)
        self._reader.start()

    def wait_ended(self, timeout: float) -> bool:
        """Whether the container's output ended within `timeout` seconds: everything that it said is delivered."""
        return self._ended.wait(timeout)

    def close(self) -> None:
        """Once the container is gone: take what it still said, then cut the connection. `stdout` stays readable."""
        self.wait_ended(timeout=1.0)
        for end in (self._connection, self._output):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeout=5)
        self._connection.close()

    def _read(self) -> None:
        with (
            self._log.open("ab", buffering=0) as log,
            self._connection.makefile("rb") as stream,
            contextlib.suppress(OSError),  # cut by close(), or by the engine's end
        ):
            written = 0
            for number, payload in frames(stream):
                if number == _STDOUT and not self._output_to_log:
                    with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the log still counts
                        self._output.sendall(payload)
                elif written <= NODE_LOG.limit:
                    written += len(payload)
                    log.write(payload)
        self._ended.set()  # before the reader of `stdout` can know
        self._output.close()
