"""One TCP connection, and what the actions of a `raw` step do with it: every byte and every segment by will.

Nothing is repeated and nothing is hidden: what goes wrong is raised as it is, and ends the exchange.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from requestlog import RequestLog
from socketoptions import SocketOptions
from sockets import socket_facts

_BLOCK = 65536
_FILLING = b"x" * _BLOCK


class Ended(Exception):
    """The peer's end of file where something else was waited for."""


class Conversation:
    """A connection, once connect() was called. `log` knows the HTTP requests in what was sent."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._received = b""
        """What came and was not looked at yet."""
        self._ended = False
        self.facts: dict[str, str | None] = {"local": None, "peer": None, "sk": None}
        self.log = RequestLog(f"http://{host}:{port}")
        self.sent = self.received = 0
        """Bytes."""
        self.open = False
        self.ended_at: float | None = None
        """When close() was called."""
        self.waiting_for = "ConnectTimeout"
        """What it is when our own timer fires."""

    def connect(self, options: SocketOptions, timeout: float) -> None:
        """Raises TimeoutError without an errno for our own timer, else OSError."""
        options.apply(self._sock)
        if options.source is not None:
            self._sock.bind(options.source)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.settimeout(timeout)
        self._sock.connect(self._address)
        self.open = True
        self.facts = socket_facts(self._sock)
        self.log.facts = self.facts

    def perform(self, action: dict[str, Any], timeout: float) -> None:
        """One action of a step, as scenario/steps/raw.py makes it. `timeout`: seconds, of each send and read."""
        self._sock.settimeout(action.get("timeout") or timeout)
        _ACTIONS[action["do"]](self, action)

    def _send(self, action: dict[str, Any]) -> None:
        size, every = action.get("bytes"), action.get("every") or 0.0
        for number, block in enumerate(_blocks(action["text"].encode(), action.get("fill") or 0, size or _BLOCK)):
            if every and number:
                time.sleep(every)
            self.log.sending(block)
            self.waiting_for = "WriteTimeout"
            self._sock.sendall(block)
            self.sent += len(block)

    def _wait(self, action: dict[str, Any]) -> None:
        time.sleep(action["time"])

    def _read(self, action: dict[str, Any]) -> None:
        until, self.waiting_for = action["until"], "ReadTimeout"
        more = _Paced(self._take, action.get("bytes") or _BLOCK, action.get("every") or 0.0)
        if until == "end":
            self._received = b""
            while more():
                continue
        elif until == "data":
            if not self._received and not more():
                raise Ended
            self._received = b""
        else:
            for _ in range(action.get("count") or 1):
                self._received = self.log.response(self._received, more, interim=until == "continue")

    def _take(self, size: int) -> bytes:
        """What has come, so many bytes at most; nothing at the peer's end of file."""
        data = b"" if self._ended else self._sock.recv(size)
        self._ended = not data
        self.received += len(data)
        return data

    def _half_close(self, action: dict[str, Any]) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def _close(self, action: dict[str, Any]) -> None:
        self.close()

    def _reset(self, action: dict[str, Any]) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """A FIN, where nothing unread makes the kernel send RST, and LINGER does not say otherwise."""
        self.open = False
        self.ended_at = time.monotonic()
        self._sock.close()


_ACTIONS: dict[str, Callable[[Conversation, dict[str, Any]], None]] = {
    "send": Conversation._send,
    "wait": Conversation._wait,
    "read": Conversation._read,
    "half-close": Conversation._half_close,
    "close": Conversation._close,
    "reset": Conversation._reset,
}

ACTIONS = tuple(_ACTIONS)


class _Paced:
    """Reads so many bytes at a time, with a pause between two reads."""

    def __init__(self, take: Callable[[int], bytes], size: int, every: float) -> None:
        self._take, self._size, self._every = take, size, every
        self._begun = False

    def __call__(self) -> bytes:
        if self._every and self._begun:
            time.sleep(self._every)
        self._begun = True
        return self._take(self._size)


def _blocks(text: bytes, fill: int, size: int) -> Iterator[bytes]:
    """The text and then `fill` bytes, in pieces of `size`; never more than two pieces in memory."""
    for start in range(0, len(text), size):
        block = text[start : start + size]
        room = min(size - len(block), fill) if start + size >= len(text) else 0
        fill -= room
        yield block + _filling(room)
    while fill > 0:
        yield _filling(min(size, fill))
        fill -= size


def _filling(size: int) -> bytes:
    return _FILLING[:size] if size <= _BLOCK else b"x" * size
