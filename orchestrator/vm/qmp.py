"""QEMU's monitor protocol: JSON, one message a line, over a socket that only we and QEMU have.

docs/interop/qmp-spec.rst of QEMU is the reference.
"""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from typing import Any

Message = dict[str, Any]

_CHUNK = 1 << 16


class QmpError(Exception):
    """QEMU refused a command."""


class QmpClosed(Exception):
    """QEMU is gone."""


class QmpTimeout(Exception):
    """Nothing came in time."""


class Qmp:
    """One session. Events that come while an answer is awaited are kept for `event`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pending = b""
        self._events: deque[Message] = deque()

    def negotiate(self, timeout: float) -> None:
        """Take QEMU's greeting. Raises QmpClosed, QmpTimeout."""
        self._message(time.monotonic() + timeout)
        self.command("qmp_capabilities", timeout=timeout)

    def command(self, name: str, *, timeout: float = 30.0, descriptor: int | None = None, **arguments: Any) -> Any:
        """Ask for something, return what is answered. `descriptor` goes along with it.

        Raises QmpError, QmpClosed, QmpTimeout.
        """
        deadline = time.monotonic() + timeout
        line = json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"
        try:
            if descriptor is None:
                self._connection.sendall(line)
            else:
                socket.send_fds(self._connection, [line], [descriptor])
        except OSError:
            raise QmpClosed from None
        while True:
            message = self._message(deadline)
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise QmpError(f"{name}: {message['error'].get('desc', message['error'])}")
            else:
                return message.get("return")

    def event(self, timeout: float) -> Message:
        """The next event. Raises QmpClosed, QmpTimeout."""
        if self._events:
            return self._events.popleft()
        deadline = time.monotonic() + timeout
        while "event" not in (message := self._message(deadline)):
            pass  # the answer to a command whose sender gave up
        return message

    def close(self) -> None:
        self._connection.close()

    def _message(self, deadline: float) -> Message:
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise QmpTimeout
            self._connection.settimeout(left)
            try:
                data = self._connection.recv(_CHUNK)
            except TimeoutError:
                raise QmpTimeout from None
            except OSError:
                raise QmpClosed from None
            if not data:
                raise QmpClosed
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        message: Message = json.loads(line)
        return message
