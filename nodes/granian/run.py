"""Runs Granian in this process, which starts its workers, by its documented programmatic way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from asgi_app import application_for
from knobs import Knobs

application = application_for(close=False)
"""What workers import, by the name of this file."""


def serve(knobs: Knobs, _: Path) -> NoReturn:
    port = knobs.port("HTTP_PORT", 8080)
    timeout = knobs.milliseconds("KEEPALIVE_TIMEOUT", 30_000)
    keep = not knobs.one_request_each("KEEPALIVE_REQUESTS")
    backlog = knobs.number("BACKLOG", 1024, at_least=128)
    workers = knobs.number("WORKERS", 1, at_least=1, at_most=64)
    try:
        from granian import Granian
        from granian.constants import Interfaces
        from granian.http import HTTP1Settings
    except ModuleNotFoundError:
        native.end("granian", f"there is no Granian for {sys.executable}: pip install granian", 127)
    Granian(
        f"{Path(__file__).stem}:application",
        address="0.0.0.0",
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        backlog=backlog,
        http1_settings=HTTP1Settings(header_read_timeout=timeout, keep_alive=keep),
        log_access=True,
    ).serve()
    sys.exit()


if __name__ == "__main__":
    native.main("granian", serve, package="granian")
