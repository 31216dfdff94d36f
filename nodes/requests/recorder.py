"""What happens on the wire, recorded from outside, and what an error of the library really was.

A subclass of urllib3's HTTPConnection is put in its place; requests and urllib3 stay as they are. The record holds
plain data only: as long as anybody references a Response, urllib3 keeps its connection open, and the very sockets that
are to be observed would live longer than they do in production.
"""

from __future__ import annotations

import errno
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions

SO_COOKIE = 57
"""From asm-generic/socket.h; Python has no name for it."""


@dataclass
class Exchange:
    """One HTTP request and its response, as the connection saw them. Headers: name -> value, as sent and received."""

    t0: float
    t: float | None = None
    local: str | None = None
    peer: str | None = None
    sk: str | None = None
    nth: int | None = None
    status: int | None = None
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    send_error: dict[str, str] | None = None

    def event(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name != "send_error" or value is not None}
        return fields | {"reused": self.nth is not None and self.nth > 1}


class Tape(threading.local):
    """The exchanges of the call that this thread is in: one, or several when the library follows redirects."""

    exchanges: list[Exchange]

    def __init__(self) -> None:
        self.exchanges = []

    @property
    def current(self) -> Exchange:
        return self.exchanges[-1]


tape = Tape()


class RecordingConnection(urllib3.connection.HTTPConnection):
    """urllib3's connection, which tells the tape what it does. One object may connect several times in its life."""

    extra_socket_options: ClassVar[list[tuple[int, int, int]]] = []
    """Those of urllib3 are set too."""
    _names: tuple[str, str, str | None] | None = None
    _served = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.socket_options = [*(self.socket_options or ()), *self.extra_socket_options]

    def connect(self) -> None:
        self._served = 0
        self._names = None
        super().connect()
        sock: socket.socket = self.sock
        self._names = _address(sock.getsockname()), _address(sock.getpeername()), _cookie(sock)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if tape.exchanges:
            tape.current.t = now
        tape.exchanges.append(Exchange(t0=now))
        super().putrequest(*args, **kwargs)

    def putheader(self, header: Any, *values: Any) -> None:
        super().putheader(header, *values)
        _add(tape.current.request_headers, _text(header), ", ".join(_text(value) for value in values))

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().endheaders(*args, **kwargs)  # connects if need be, and sends
        finally:
            self._note()

    def _note(self) -> None:
        if self._names is not None:
            self._served += 1
            now = tape.current
            now.local, now.peer, now.sk = self._names
            now.nth = self._served

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            # urllib3 swallows these two, and says later what reading the response gave.
            tape.current.send_error = {"name": type(error).__name__, "text": str(error)}
            raise

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)
        now = tape.current
        now.status = response.status
        now.response_headers = {}
        # urllib3 1.26 hands out http.client's response here, urllib3 2 its own: both have the message's items.
        original: Any = getattr(response, "_original_response", response)
        for name, value in original.msg.items():
            _add(now.response_headers, name, value)
        return response


def install(*, tcp_keepalive: bool) -> None:
    """Put the recording connection in the place of urllib3's own. With SO_KEEPALIVE, as an adapter with
    `socket_options` sets it, or without, which is urllib3's default."""
    RecordingConnection.extra_socket_options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] if tcp_keepalive else []
    urllib3.connectionpool.HTTPConnectionPool.ConnectionCls = RecordingConnection


def cause_name(error: BaseException) -> str:
    """The name of the innermost cause, which tells the side of the race, out of what the libraries wrapped around it.

    An errno that Python has no class for stands for itself (EADDRNOTAVAIL: out of ephemeral ports; ETIMEDOUT: the
    kernel gave up).
    """
    chain = [error]
    while (inner := _inner(chain[-1])) is not None and inner not in chain:
        chain.append(inner)
    last = chain[-1]
    if isinstance(last, socket.gaierror):
        return "NameResolutionError"
    if type(last) in (OSError, TimeoutError) and isinstance(number := getattr(last, "errno", None), int):
        return errno.errorcode.get(number, "OSError")
    if isinstance(last, TimeoutError | urllib3.exceptions.TimeoutError):
        reading = any(isinstance(each, urllib3.exceptions.ReadTimeoutError) for each in chain)
        return "ReadTimeout" if reading else "ConnectTimeout"
    return type(last).__name__


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    inside = [value for value in (reason, *reversed(error.args)) if isinstance(value, BaseException)]
    if inside:
        return inside[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _address(pair: tuple[Any, ...]) -> str:
    return f"{pair[0]}:{pair[1]}"


def _cookie(sock: socket.socket) -> str | None:
    """The kernel's name for this socket, made now: a minisocket inherits it only if it was made before the close."""
    try:
        return f"{int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder):x}"
    except OSError:
        return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _add(headers: dict[str, str], name: str, value: str) -> None:
    headers[name] = f"{headers[name]}, {value}" if name in headers else value
