"""Runs hypercorn in this process, by its documented programmatic way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from asgi_app import application_for
from knobs import Knobs


def serve(knobs: Knobs, _: Path) -> NoReturn:
    port = knobs.port("HTTP_PORT", 8080)
    timeout = knobs.duration("KEEPALIVE_TIMEOUT", 5, more_than=0)
    application = application_for(close=knobs.one_request_each("KEEPALIVE_REQUESTS"))
    read_timeout = knobs.whole_seconds("READ_TIMEOUT", 1) if knobs.given("READ_TIMEOUT") else None
    backlog = knobs.number("BACKLOG", 100, at_least=1)
    graceful_timeout = knobs.duration("GRACEFUL_TIMEOUT", 3)
    from hypercorn.asyncio import serve  # type: ignore[import-not-found]
    from hypercorn.config import Config  # type: ignore[import-not-found]

    config = Config.from_mapping(
        bind=[f"0.0.0.0:{port}"],
        keep_alive_timeout=timeout,
        read_timeout=read_timeout,
        backlog=backlog,
        graceful_timeout=graceful_timeout,
    )
    asyncio.run(serve(application, config))
    sys.exit()


if __name__ == "__main__":
    native.main("hypercorn", serve, package="python3-hypercorn")
