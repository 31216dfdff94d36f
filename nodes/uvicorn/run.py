"""Runs uvicorn in this process, by its documented programmatic way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from asgi_app import application_for
from knobs import Knobs


def serve(knobs: Knobs, _: Path) -> NoReturn:
    port = knobs.port("HTTP_PORT", 8080)
    timeout = knobs.whole_seconds("KEEPALIVE_TIMEOUT", 5, at_least=0)
    application = application_for(close=knobs.one_request_each("KEEPALIVE_REQUESTS"))
    backlog = knobs.number("BACKLOG", 2048, at_least=1)
    most = knobs.number("MAX_REQUESTS", 0) or None
    import uvicorn  # type: ignore[import-not-found]

    uvicorn.run(
        application,
        host="0.0.0.0",
        port=port,
        timeout_keep_alive=timeout,
        backlog=backlog,
        limit_max_requests=most,
    )
    sys.exit()


if __name__ == "__main__":
    native.main("uvicorn", serve, package="python3-uvicorn")
