"""The client node `httpx`: Debian's httpx and httpcore, unmodified, which takes commands on standard input.

What goes over a connection is seen by a subclass of httpcore's stream, put in its place.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import httpcore.backends.sync  # type: ignore[import-not-found]
import httpx  # type: ignore[import-not-found]
from bodies import body_of, headers_with_length
from causes import cause_name
from commands import Command, CommandError
from events import Event
from exchange import Exchange, check_request
from headers import headers_of
from holding import Held
from knobs import Knobs
from serving import main
from socketoptions import SocketOptions, read_server_options
from sockets import socket_facts


class Tape(threading.local):
    """The exchange that this thread is in: httpx follows no redirects and repeats no requests by itself."""

    exchange: Exchange | None = None


tape = Tape()


class RecordingStream(httpcore.backends.sync.SyncStream):  # type: ignore[misc]
    """httpcore's connection, which writes to the tape that it was taken: a failed request does not show which."""

    options = SocketOptions()

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.options.apply(sock)  # this version of httpx has no argument for them
        self._facts = socket_facts(sock)
        self._served = 0

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = tape.exchange
        if exchange is not None and exchange.nth is None:  # its first write: the head of the request
            self._served += 1
            exchange.went_over(self._facts, self._served)
        super().write(buffer, timeout)


class Httpx:
    """A Client per session; without one, what httpx.request does: a Client for one request."""

    schemes = ("http",)
    options = ("body.size", "hold", "timeout.connect", "timeout.read", "timeout.write", "timeout.pool")

    def __init__(self, knobs: Knobs) -> None:
        backend: Any = httpcore.backends.sync
        backend.SyncStream = RecordingStream
        RecordingStream.options = read_server_options(knobs)
        self._address = knobs.host("SOURCE_ADDRESS") or None
        self._limits = httpx.Limits(
            max_connections=knobs.number("MAX_CONNECTIONS", 100, at_least=1),
            max_keepalive_connections=knobs.number("POOL_MAXSIZE", 20),
            keepalive_expiry=knobs.duration("KEEPALIVE_EXPIRY", 5.0),
        )
        self._retries = knobs.number("RETRIES", 0)
        self._held: Held[Any] = Held()

    def open(self) -> httpx.Client:
        # Nothing here is encrypted, and a Client that could verify certificates would first read them all.
        transport = httpx.HTTPTransport(
            verify=False, trust_env=False, limits=self._limits, retries=self._retries, local_address=self._address
        )
        return httpx.Client(transport=transport, verify=False, trust_env=False)

    def check(self, command: Command) -> None:
        check_request(command)
        try:
            httpx.Request(command.method, command.url, headers=command.headers)
        except (httpx.InvalidURL, ValueError) as error:
            raise CommandError(f"httpx refuses it: {type(error).__name__}: {error}") from None

    def perform(self, command: Command, session: httpx.Client | None) -> list[Event]:
        tape.exchange = exchange = Exchange()
        try:
            if session is not None:
                self._ask(session, command, exchange)
            else:
                with self.open() as own:
                    self._ask(own, command, exchange)
        except (httpx.HTTPError, OSError, ValueError) as error:
            exchange.error = {"name": cause_name(error, _name), "text": str(error)}
        exchange.t = time.monotonic()
        return [exchange.event(command)]

    def close(self, session: httpx.Client) -> None:
        for response in self._held.let_go(session):
            response.close()
        session.close()

    def _ask(self, client: httpx.Client, command: Command, exchange: Exchange) -> None:
        timeout = httpx.Timeout(**{name: command.seconds(name) for name in ("connect", "read", "write", "pool")})
        request = client.build_request(
            command.method,
            command.url,
            headers=headers_with_length(command),
            content=body_of(command),
            timeout=timeout,
        )
        exchange.request_headers = headers_of(request.headers.raw)
        response = client.send(request, stream=True)
        exchange.status = response.status_code
        exchange.response_headers = headers_of(response.headers.raw)
        if command.hold:
            self._held.keep(client, response)
            exchange.held = True
            return
        try:
            exchange.bytes = sum(len(chunk) for chunk in response.iter_raw())
        finally:
            response.close()


def _name(chain: list[BaseException]) -> str | None:
    """What httpx reports with words only, and its timeouts, by the names that all clients use."""
    for error in chain:
        if isinstance(error, httpx.TimeoutException):
            return type(error).__name__
        if isinstance(error, httpx.RemoteProtocolError):
            return _broken(str(error))
    return None


def _broken(text: str) -> str:
    if text.startswith("Server disconnected"):
        return "RemoteDisconnected"
    if text.startswith("peer closed connection"):
        return "IncompleteRead"
    return "BadStatusLine" if text.startswith("illegal status line") else "RemoteProtocolError"


if __name__ == "__main__":
    sys.exit(main("httpx", Httpx))
