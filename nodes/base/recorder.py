"""What happens on the wire below urllib3, recorded from outside, and what an error of the library really was.

A subclass of urllib3's HTTPConnection is put in its place; urllib3 and what is built on it stay as they are. For
urllib3 1.26 and 2.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import causes
import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
import urllib3.util
from commands import Command
from events import Event
from exchange import Exchange
from headers import add_header, headers_of, text
from socketoptions import SocketOptions
from sockets import socket_facts

_WARNINGS = 1_000


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
    """urllib3's connection, which writes to the tape what it does. One object may connect several times in its life."""

    extra: ClassVar[SocketOptions] = SocketOptions()
    """Those of urllib3 are set too."""
    _facts: dict[str, str | None] | None = None
    _served = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.socket_options = [*(self.socket_options or ()), *self.extra.options()]
        self.source_address = self.extra.source or self.source_address

    def connect(self) -> None:
        self._served = 0
        self._facts = None
        super().connect()
        self._facts = socket_facts(self.sock)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if tape.exchanges:
            tape.current.t = now
        tape.exchanges.append(Exchange(t0=now))
        super().putrequest(*args, **kwargs)

    def putheader(self, header: Any, *values: Any) -> None:
        super().putheader(header, *values)
        add_header(tape.current.request_headers, header, ", ".join(text(value) for value in values))

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().endheaders(*args, **kwargs)  # connects if need be, and sends
        finally:
            self._note()

    def _note(self) -> None:
        if self._facts is not None:
            self._served += 1
            tape.current.went_over(self._facts, self._served)

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
        # urllib3 1.26 hands out http.client's response here, urllib3 2 its own: both have the message's items.
        original: Any = getattr(response, "_original_response", response)
        now.response_headers = headers_of(original.msg.items())
        return response


def _warn_on_stderr() -> None:
    """What urllib3 warns of, such as a full pool, goes to the log; of a large load only the first: a log is bounded."""
    count = itertools.count()
    urllib3.add_stderr_logger(logging.WARNING).addFilter(lambda record: next(count) < _WARNINGS)


def install(options: SocketOptions) -> None:
    """Put the recording connection in the place of urllib3's own. `options` as its `socket_options` and
    `source_address` set them."""
    _warn_on_stderr()
    RecordingConnection.extra = options
    urllib3.connectionpool.HTTPConnectionPool.ConnectionCls = RecordingConnection


class RecordingRetry(urllib3.util.Retry):
    """urllib3's Retry, which writes to the tape why it retries."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Self:
        if error is not None and tape.exchanges:
            tape.current.error = _named(error)
        return super().increment(method, url, response, error, _pool, _stacktrace)


FAILURES: tuple[type[Exception], ...] = (urllib3.exceptions.HTTPError, OSError, ValueError)
"""What calls of urllib3 and of what is built on it raise for what went wrong."""


def record(command: Command, call: Callable[[], Sequence[int]]) -> list[Event]:
    """Make one call; the events of its exchanges. `call` returns the sizes of the last bodies, 0 of one that it holds,
    and leaves no response behind that the command does not `hold`: as long as anybody references one, urllib3 keeps its
    connection open, and the very sockets that are to be observed would live longer than they do in production."""
    tape.exchanges = []
    t0 = time.monotonic()
    error = None
    sizes: Sequence[int] = ()
    try:
        sizes = call()
    except FAILURES as caught:
        error = _named(caught)
    exchanges, tape.exchanges = tape.exchanges or [Exchange(t0)], []
    exchanges[0].t0 = t0
    exchanges[-1].t = time.monotonic()
    exchanges[-1].error = error
    exchanges[-1].held = command.hold and error is None
    for exchange, size in zip(reversed(exchanges), reversed(sizes), strict=False):
        exchange.bytes = size
    return [exchange.event(command) for exchange in exchanges]


def _named(error: Exception) -> dict[str, str]:
    return {"name": cause_name(error), "text": str(error)}


def cause_name(error: BaseException) -> str:
    """causes.cause_name, which knows urllib3's timeouts."""
    return causes.cause_name(error, _timeout)


def _timeout(chain: list[BaseException]) -> str | None:
    if any(isinstance(each, urllib3.exceptions.EmptyPoolError) for each in chain):
        return "PoolTimeout"
    if not isinstance(chain[-1], TimeoutError | urllib3.exceptions.TimeoutError):
        return None
    reading = any(isinstance(each, urllib3.exceptions.ReadTimeoutError) for each in chain)
    if reading:
        return "ReadTimeout"
    # What times out on a connection that is there, and is not reading, is sending.
    connected = bool(tape.exchanges) and tape.current.nth is not None
    return "WriteTimeout" if connected else "ConnectTimeout"
