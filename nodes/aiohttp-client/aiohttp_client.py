"""The client node `aiohttp-client`: Debian's aiohttp, unmodified, which takes commands on standard input.

One event loop runs in a thread of its own all the time, as in a service: it notices what servers do to idle
connections. Workers wait for their requests outside of it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import aiohttp  # type: ignore[import-not-found]
from bodies import MadeUp, body_of, headers_with_length
from causes import cause_name, errno_name
from commands import Command
from events import Event
from exchange import Exchange, check_request
from headers import headers_of
from holding import Held
from knobs import KnobError, Knobs
from serving import main
from socketoptions import SocketOptions, read_client_options
from sockets import socket_facts

T = TypeVar("T")

current: ContextVar[list[Exchange]] = ContextVar("current")
"""The exchanges of the call that this task is in: one, or several when the library follows redirects."""


transport: ContextVar[asyncio.Transport | None] = ContextVar("transport", default=None)
"""The connection of that call, as asyncio has it."""

queued: ContextVar[bool] = ContextVar("queued", default=False)
"""Whether that call waits for room in the pool."""


class RecordingConnector(aiohttp.TCPConnector):  # type: ignore[misc]
    """aiohttp's connector, which reports to the exchange the connection that it got."""

    def __init__(self, options: SocketOptions, **kwargs: Any) -> None:
        super().__init__(local_addr=options.source, **kwargs)
        self._socket_options = options
        self._seen: WeakKeyDictionary[object, list[Any]] = WeakKeyDictionary()
        """A connection's protocol -> its facts, and the number of requests so far."""

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **kwargs)
        transport.set(connection.transport)
        sock = connection.transport.get_extra_info("socket") if connection.transport else None
        if connection.protocol not in self._seen:
            self._seen[connection.protocol] = [socket_facts(sock) if sock else None, 0]
            if sock is not None:  # aiohttp has no argument for them
                self._socket_options.apply(sock)
        entry = self._seen[connection.protocol]
        entry[1] += 1
        if entry[0] is not None:
            current.get()[-1].went_over(entry[0], entry[1])
        return connection


async def _headers_sent(session: object, context: SimpleNamespace, sent: aiohttp.TraceRequestHeadersSentParams) -> None:
    current.get()[-1].request_headers = headers_of(sent.headers.items())


async def _queues(session: object, context: SimpleNamespace, params: object) -> None:
    queued.set(True)


async def _queued(session: object, context: SimpleNamespace, params: object) -> None:
    queued.set(False)


async def _redirected(session: object, context: SimpleNamespace, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    exchanges = current.get()
    exchanges[-1].t = time.monotonic()
    exchanges[-1].status = redirect.response.status
    exchanges[-1].response_headers = headers_of(redirect.response.raw_headers)
    exchanges.append(Exchange())


class Aiohttp:
    """A ClientSession with a TCPConnector per session; without one, those two for one request, as aiohttp.request."""

    schemes = ("http",)
    options = ("body.size", "hold", "timeout.connect", "timeout.read", "timeout.pool", "timeout.total")

    def __init__(self, knobs: Knobs) -> None:
        self._options: dict[str, Any] = {
            "limit": knobs.number("MAX_CONNECTIONS", 100),
            "limit_per_host": knobs.number("MAX_CONNECTIONS_PER_HOST", 0),
        }
        if knobs.truth("FORCE_CLOSE", False):
            if knobs.given("KEEPALIVE_EXPIRY"):
                raise KnobError("KEEPALIVE_EXPIRY: with FORCE_CLOSE no connection is kept")
            self._options["force_close"] = True
        else:
            self._options["keepalive_timeout"] = knobs.duration("KEEPALIVE_EXPIRY", 15.0)
        self._socket_options = read_client_options(knobs)
        self._held: Held[aiohttp.ClientResponse] = Held()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def open(self) -> aiohttp.ClientSession:
        return self._run(self._open())

    async def _open(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_headers_sent)
        trace.on_request_redirect.append(_redirected)
        trace.on_connection_queued_start.append(_queues)
        trace.on_connection_queued_end.append(_queued)
        return aiohttp.ClientSession(
            connector=RecordingConnector(self._socket_options, **self._options),
            trace_configs=[trace],
            auto_decompress=False,
        )

    def check(self, command: Command) -> None:
        check_request(command)

    def perform(self, command: Command, session: aiohttp.ClientSession | None) -> list[Event]:
        return self._run(self._perform(command, session))

    async def _perform(self, command: Command, session: aiohttp.ClientSession | None) -> list[Event]:
        exchanges = [Exchange()]
        current.set(exchanges)
        try:
            if session is not None:
                await self._ask(session, command)
            else:
                async with await self._open() as own:
                    await self._ask(own, command)
        # It asserts that a connection is still there, which was reset in the very moment it was made.
        except (aiohttp.ClientError, OSError, ValueError, AssertionError) as error:
            name = cause_name(error, _name)
            if name == "ReadTimeout" and _sending():
                name = "WriteTimeout"
            if name == "ConnectTimeout" and queued.get():
                name = "PoolTimeout"
            exchanges[-1].error = {"name": name, "text": str(error)}
        exchanges[-1].t = time.monotonic()
        return [exchange.event(command) for exchange in exchanges]

    def close(self, session: aiohttp.ClientSession) -> None:
        for response in self._held.let_go(session):
            self._loop.call_soon_threadsafe(response.close)
        self._run(session.close())

    async def _ask(self, session: aiohttp.ClientSession, command: Command) -> None:
        timeout = aiohttp.ClientTimeout(
            total=command.timeouts.get("total"),
            connect=command.timeouts.get("pool"),
            sock_connect=command.seconds("connect"),
            sock_read=command.seconds("read"),
        )
        response = await session.request(
            command.method, command.url, headers=headers_with_length(command), data=_data(command), timeout=timeout
        )
        exchange = current.get()[-1]
        exchange.status = response.status
        exchange.response_headers = headers_of(response.raw_headers)
        if command.hold:
            self._held.keep(session, response)
            exchange.held = True
            return
        async with response:
            async for chunk in response.content.iter_any():
                exchange.bytes += len(chunk)


def _data(command: Command) -> bytes | AsyncIterator[bytes] | None:
    body = body_of(command)
    return _pieces(body) if isinstance(body, MadeUp) else body


async def _pieces(body: MadeUp) -> AsyncIterator[bytes]:
    while piece := body.read(65536):
        yield piece


def _sending() -> bool:
    """Whether a part of the request has not gone out: aiohttp's timer of reading runs while it sends, too."""
    taken = transport.get()
    return taken is not None and taken.get_write_buffer_size() > 0


def _name(chain: list[BaseException]) -> str | None:
    """What aiohttp has classes of its own for, by the names that all clients use."""
    for error in chain:
        if isinstance(error, aiohttp.ServerTimeoutError):
            return "ConnectTimeout" if str(error).startswith("Connection timeout") else "ReadTimeout"
        if isinstance(error, aiohttp.ClientPayloadError):
            return "IncompleteRead"
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "RemoteDisconnected"
        if isinstance(error, aiohttp.http_exceptions.BadHttpMessage) and error.message == "Expected HTTP/":
            return "BadStatusLine"
        if isinstance(error, aiohttp.ClientOSError) and error.errno is not None:
            return errno_name(error.errno)
    return None


if __name__ == "__main__":
    sys.exit(main("aiohttp-client", Aiohttp))
