"""An ASGI application (asgi.readthedocs.io, version 3) that responds as responses.py says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from responses import response_to

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def application_for(close: bool) -> Application:
    """The application; with `close` every response says `Connection: close`, and ASGI servers do as it says."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        response = response_to(scope["path"], await _body(receive))
        await asyncio.sleep(response.delay)
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers(close).items()]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.content(scope["method"])})

    return application


async def _body(receive: Receive) -> bytes:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    return body


async def _live(receive: Receive, send: Send) -> None:
    """The server starts and ends: there is nothing to do at either, but servers complain without an acknowledgement."""
    while (event := (await receive())["type"]) != "lifespan.shutdown":
        await send({"type": f"{event}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
