"""Runs aiohttp's web server in this process, as an application of its own does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs
from responses import response_to


def serve(knobs: Knobs, _: Path) -> NoReturn:
    port = knobs.port("HTTP_PORT", 8080)
    timeout = knobs.duration("KEEPALIVE_TIMEOUT", 75, more_than=0)
    close = knobs.one_request_each("KEEPALIVE_REQUESTS")
    backlog = knobs.number("BACKLOG", 128, at_least=1)
    from aiohttp import web  # type: ignore[import-not-found]

    async def respond(request: Any) -> Any:
        response = response_to(request.path, await request.read())
        await asyncio.sleep(response.delay)
        made = web.Response(status=response.status, body=response.body, content_type=response.content_type)
        if close:
            made.force_close()
        return made

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", respond)
    web.run_app(application, host="0.0.0.0", port=port, keepalive_timeout=timeout, backlog=backlog)
    sys.exit()


if __name__ == "__main__":
    native.main("aiohttp", serve, package="python3-aiohttp")
